/* Load for the tunnel benchmark: TCP streams, and single UDP packets at a given rate.
 *
 *   load tcp-receive ADDRESS PORT STREAMS WARM-UP SECONDS
 *                                                      "ready", "begin", "end BYTES SECONDS"
 *   load tcp-send ADDRESS PORT STREAMS                 until the other end closes
 *   load udp-receive ADDRESS PORT                      "ready"; for each line on stdin the number
 *                                                      of packets since the last
 *   load udp-send ADDRESS PORT SIZE                    for each line "RATE SECONDS" on stdin
 *                                                      "SENT SECONDS"; RATE 0 is as fast as it goes
 *
 * UDP goes by sendmmsg(2), one packet a message: no tunnel is handed super-packets.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (128 * 1024)  /* bytes sent or received at once */
#define MAX_STREAMS 16
#define BATCH 16            /* UDP packets in one call, and the most that is ever made good at once */
#define RECEIVE_BATCH 64
#define RECEIVE_BUFFER (8 << 20) /* bytes: what is lost is to be lost in the tunnel */

static char data[CHUNK];

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int open_socket(const char *address, const char *port, int type, int receiving)
{
  struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST}, *found;
  int on = 1, fd, size = RECEIVE_BUFFER;
  if (getaddrinfo(address, port, &hints, &found))
    die(address);
  if ((fd = socket(found->ai_family, type, 0)) < 0)
    die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (type == SOCK_DGRAM && receiving)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  if (receiving ? bind(fd, found->ai_addr, found->ai_addrlen)
                : connect(fd, found->ai_addr, found->ai_addrlen))
    die(address);
  freeaddrinfo(found);
  return fd;
}

static void tcp_receive(const char *address, const char *port, int streams, double warm_up, double seconds)
{
  struct pollfd fds[MAX_STREAMS];
  int listener = open_socket(address, port, SOCK_STREAM, 1), begun = 0;
  double from, at;
  unsigned long long bytes = 0;
  if (listen(listener, MAX_STREAMS))
    die("listen");
  puts("ready");
  for (int i = 0; i < streams; i++) {
    fds[i].fd = accept(listener, NULL, NULL);
    fds[i].events = POLLIN;
  }
  from = now() + warm_up;
  for (;;) {
    at = now();
    if (!begun && at >= from) {
      puts("begin");
      begun = 1, bytes = 0, from = now();
    } else if (begun && at >= from + seconds)
      break;
    if (poll(fds, streams, 100) < 0)
      die("poll");
    for (int i = 0; i < streams; i++) {
      ssize_t got;
      if (!fds[i].revents)
        continue;
      if ((got = recv(fds[i].fd, data, CHUNK, 0)) <= 0)
        die("a stream ended");
      bytes += got;
    }
  }
  printf("end %llu %.6f\n", bytes, at - from);
}

static void tcp_send(const char *address, const char *port, int streams)
{
  struct pollfd fds[MAX_STREAMS];
  for (int i = 0; i < streams; i++) {
    fds[i].fd = open_socket(address, port, SOCK_STREAM, 0);
    fds[i].events = POLLOUT;
    if (streams > 1)
      fcntl(fds[i].fd, F_SETFL, O_NONBLOCK);
  }
  for (;;) {
    if (streams > 1 && poll(fds, streams, -1) < 0)
      die("poll");
    for (int i = 0; i < streams; i++)
      if (streams == 1 || fds[i].revents)
        if (send(fds[i].fd, data, CHUNK, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
          exit(0);
  }
}

static void udp_receive(const char *address, const char *port)
{
  static char buffers[RECEIVE_BATCH][2048];
  struct mmsghdr messages[RECEIVE_BATCH] = {0};
  struct iovec parts[RECEIVE_BATCH];
  struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.events = POLLIN}};
  unsigned long long packets = 0;
  char asked[64];
  fds[1].fd = open_socket(address, port, SOCK_DGRAM, 1);
  for (int i = 0; i < RECEIVE_BATCH; i++) {
    parts[i] = (struct iovec){buffers[i], sizeof buffers[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  puts("ready");
  for (;;) {
    int got;
    if (poll(fds, 2, -1) < 0)
      die("poll");
    if (fds[1].revents)
      while ((got = recvmmsg(fds[1].fd, messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL)) > 0) {
        packets += got;
        if (got < RECEIVE_BATCH)
          break;
      }
    if (fds[0].revents) {
      if (read(0, asked, sizeof asked) <= 0)
        return;
      printf("%llu\n", packets);
      packets = 0;
    }
  }
}

static unsigned long long send_batch(int fd, struct mmsghdr *messages, int count)
{
  int sent = sendmmsg(fd, messages, count, 0);
  /* What the interface refuses counts as sent: it is lost. */
  return sent < 0 ? 1 : sent;
}

static void udp_burst(int fd, struct mmsghdr *messages, double rate, double seconds)
{
  unsigned long long sent = 0;
  double begin = now(), at, due, next = begin;
  while ((at = now()) < begin + seconds) {
    if (rate <= 0) {
      sent += send_batch(fd, messages, BATCH);
      continue;
    }
    if (next < at - BATCH / rate)
      next = at - BATCH / rate;
    due = (at - next) * rate;
    if (due >= 1) {
      unsigned long long count = send_batch(fd, messages, due < BATCH ? (int)due : BATCH);
      sent += count;
      next += count / rate;
    } else {
      struct timespec pause = {0, 20000};
      nanosleep(&pause, NULL);
    }
  }
  printf("%llu %.6f\n", sent, now() - begin);
}

static void udp_send(const char *address, const char *port, int size)
{
  struct iovec part = {data, size};
  struct mmsghdr messages[BATCH] = {0};
  double rate, seconds;
  int fd = open_socket(address, port, SOCK_DGRAM, 0);
  prctl(PR_SET_TIMERSLACK, 1UL);
  for (int i = 0; i < BATCH; i++) {
    messages[i].msg_hdr.msg_iov = &part;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  while (scanf("%lf %lf", &rate, &seconds) == 2)
    udp_burst(fd, messages, rate, seconds);
}

int main(int argc, char **argv)
{
  const char *mark = "never in the clear on the wire: ";
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = mark[i % strlen(mark)];
  if (argc == 7 && !strcmp(argv[1], "tcp-receive"))
    tcp_receive(argv[2], argv[3], atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  else if (argc == 5 && !strcmp(argv[1], "tcp-send"))
    tcp_send(argv[2], argv[3], atoi(argv[4]));
  else if (argc == 4 && !strcmp(argv[1], "udp-receive"))
    udp_receive(argv[2], argv[3]);
  else if (argc == 5 && !strcmp(argv[1], "udp-send"))
    udp_send(argv[2], argv[3], atoi(argv[4]));
  else {
    fprintf(stderr, "load: see the comment in load.c\n");
    return 2;
  }
  return 0;
}
