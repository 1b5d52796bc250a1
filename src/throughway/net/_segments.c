/* Packets and super-packets, as a TUN device with offload speaks them: cut, merged and walked.
 *
 * A super-packet is one IPv6 packet of up to 65,535 bytes behind a virtio_net_hdr that says how the
 * kernel would cut it. `segment` cuts one for the stream, `coalesce` merges a run of the stream for
 * the kernel, `walk` finds how far packets have the same addresses. segments.py is the same in
 * Python; the tests hold both against a version that looks at one packet at a time.
 *
 * Checksums are sums of 16-bit words in memory order: RFC 1071, section 2 (B).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    VNET = 10,         /* bytes of virtio_net_hdr */
    IP = 40,           /* bytes of an IPv6 header */
    UDP_HEADER = 8,
    TCP_HEADER = 20,
    TCP_LONGEST = 60,
    TCP = 6,
    UDP = 17,
    TCP_CHECKSUM = 16, /* offsets of the fields */
    UDP_CHECKSUM = 6,
    FIN = 0x01, PSH = 0x08, ACK = 0x10, CWR = 0x80,
    NEEDS_CSUM = 1,
    GSO_NONE = 0, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80,
    LARGEST = 65535,   /* bytes of a super-packet */
    MOST = 64,         /* packets merged into one: the kernel's bound for UDP */
};

struct vnet {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
_Static_assert(sizeof(struct vnet) == VNET, "virtio_net_hdr has ten bytes");

static uint16_t load16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static void store16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static uint32_t load32(const uint8_t *p) { return (uint32_t)load16(p) << 16 | load16(p + 2); }

static void store32(uint8_t *p, uint32_t value)
{
    store16(p, value >> 16);
    store16(p + 2, value & 0xFFFF);
}

/* Add up to 64 KiB; 32-bit words cannot overflow a 64-bit sum. */
static uint64_t add(uint64_t sum, const uint8_t *p, size_t size)
{
    uint32_t word;
    for (; size >= 4; p += 4, size -= 4) {
        memcpy(&word, p, 4);
        sum += word;
    }
    word = 0;
    memcpy(&word, p, size);
    return sum + word;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)sum;
}

/* Write the checksum of a sum that holds everything; UDP has none that is 0 (RFC 8200, 8.1). */
static void finish(uint8_t *field, uint64_t sum, int udp)
{
    uint16_t checksum = (uint16_t)~fold(sum);
    if (checksum == 0xFFFF)
        checksum = 0;
    if (udp && checksum == 0)
        checksum = 0xFFFF;
    memcpy(field, &checksum, 2);
}

/* Cut one read of the device into packets at `out`; return their bytes, 0 when it is refused. */
static size_t cut(const uint8_t *in, size_t length, uint8_t *out, size_t room)
{
    struct vnet vnet;
    if (length < VNET + IP)
        return 0;
    memcpy(&vnet, in, VNET);
    const uint8_t *packet = in + VNET;
    size_t size = length - VNET;
    int type = vnet.gso_type & ~GSO_ECN;
    if (packet[0] >> 4 != 6 || size != (size_t)IP + load16(packet + 4))
        return 0;
    if (!(vnet.flags & NEEDS_CSUM)) {
        if (type != GSO_NONE || size > room)
            return 0;
        memcpy(out, packet, size);
        return size;
    }
    size_t upper = vnet.csum_start, checksum = upper + vnet.csum_offset;
    if (upper < IP || checksum + 2 > size)
        return 0;
    if (type == GSO_NONE) {
        if (size > room)
            return 0;
        memcpy(out, packet, size);
        /* The field holds the sum of the pseudo-header. */
        finish(out + checksum, add(0, out + upper, size - upper),
               vnet.csum_offset == UDP_CHECKSUM);
        return size;
    }
    size_t head;
    int tcp = type == GSO_TCPV6;
    if (tcp && vnet.csum_offset == TCP_CHECKSUM && upper + TCP_HEADER <= size) {
        size_t own = (size_t)(packet[upper + 12] >> 4) * 4;
        if (own < TCP_HEADER)
            return 0;
        head = upper + own;
    } else if (type == GSO_UDP_L4 && vnet.csum_offset == UDP_CHECKSUM) {
        head = upper + UDP_HEADER;
    } else {
        return 0;
    }
    size_t step = vnet.gso_size;
    if (head > size || step == 0)
        return 0;
    size_t payload = size - head, count = payload ? (payload + step - 1) / step : 1;
    if (count * head + payload > room)
        return 0;
    uint16_t pseudo;
    memcpy(&pseudo, packet + checksum, 2);
    /* The pseudo-header without its length, which is each segment's own. */
    uint64_t base = (uint64_t)pseudo + (uint16_t)~htons((uint16_t)(size - upper));
    uint8_t *to = out;
    for (size_t done = 0, number = 0; number < count; number++) {
        size_t chunk = payload - done < step ? payload - done : step, total = head + chunk;
        memcpy(to, packet, head);
        memcpy(to + head, packet + head + done, chunk);
        store16(to + 4, total - IP);
        if (tcp) {
            store32(to + upper + 4, load32(packet + upper + 4) + (uint32_t)done);
            if (number + 1 < count)
                to[upper + 13] &= (uint8_t)~(FIN | PSH);
            if (number)
                to[upper + 13] &= (uint8_t)~CWR;
        } else {
            store16(to + upper + 4, total - upper);
        }
        memset(to + checksum, 0, 2);
        uint64_t sum = base + htons((uint16_t)(total - upper));
        finish(to + checksum, add(sum, to + upper, total - upper), !tcp);
        to += total;
        done += chunk;
    }
    return (size_t)(to - out);
}

/* Packets which will be written as one. */
struct run {
    const uint8_t *first;
    size_t head, step, size;   /* bytes: of headers, of the first payload, of all */
    uint32_t next;             /* TCP: the sequence number that continues it */
    int protocol;              /* 0 when nothing may follow the first */
    int verified, ended, pushed, count;
    struct iovec parts[2 + MOST];
};

/* Begin a run with a packet that lies whole at `packet`. */
static void begin(struct run *run, const uint8_t *packet, size_t size, int udp)
{
    run->first = packet;
    run->size = size;
    run->count = 1;
    run->verified = run->ended = run->pushed = 0;
    run->protocol = 0;
    if (packet[6] == TCP && size > IP + TCP_HEADER) {
        size_t own = (size_t)(packet[IP + 12] >> 4) * 4;
        int flags = packet[IP + 13];
        if (own < TCP_HEADER || IP + own >= size || packet[IP + 12] & 0x0F ||
            (flags & ~PSH) != ACK)
            return;
        run->head = IP + own;
        run->ended = run->pushed = flags & PSH;
        run->next = load32(packet + IP + 4) + (uint32_t)(size - run->head);
    } else if (udp && packet[6] == UDP && size > IP + UDP_HEADER) {
        if (load16(packet + IP + 4) != size - IP || load16(packet + IP + 6) == 0)
            return;
        run->head = IP + UDP_HEADER;
    } else {
        return;
    }
    run->protocol = packet[6];
    run->step = size - run->head;
    run->parts[2].iov_base = (void *)(packet + run->head);
    run->parts[2].iov_len = run->step;
}

/* The sum of the pseudo-header (RFC 8200, section 8.1). */
static uint64_t pseudo_sum(const uint8_t *packet, size_t upper_length, int protocol)
{
    return add((uint64_t)htons((uint16_t)upper_length) + htons((uint16_t)protocol), packet + 8, 32);
}

static int verify(const uint8_t *packet, size_t size, int protocol)
{
    return fold(add(pseudo_sum(packet, size - IP, protocol), packet + IP, size - IP)) == 0xFFFF;
}

/* Whether the headers of a packet continue the run. */
static int continues(const struct run *run, const uint8_t *packet, size_t size)
{
    const uint8_t *first = run->first;
    if (!run->protocol || run->ended || run->count == MOST || size <= run->head ||
        size - run->head > run->step || run->size + size - run->head > LARGEST)
        return 0;
    /* All of the IPv6 header but its length, and both ports. */
    if (memcmp(packet, first, 4) || memcmp(packet + 6, first + 6, IP + 4 - 6))
        return 0;
    if (run->protocol == UDP)
        return load16(packet + IP + 4) == size - IP && load16(packet + IP + 6) != 0;
    return load32(packet + IP + 4) == run->next &&
           !memcmp(packet + IP + 8, first + IP + 8, 5) &&             /* acknowledgement, length */
           (packet[IP + 13] & ~PSH) == ACK &&
           !memcmp(packet + IP + 14, first + IP + 14, 2) &&           /* window */
           !memcmp(packet + IP + 18, first + IP + 18, run->head - IP - 18); /* urgent, options */
}

static void append(struct run *run, const uint8_t *packet, size_t size)
{
    size_t payload = size - run->head;
    struct iovec *part = &run->parts[2 + run->count++];
    part->iov_base = (void *)(packet + run->head);
    part->iov_len = payload;
    run->size += payload;
    run->next += (uint32_t)payload;
    run->ended = payload < run->step;
    if (run->protocol == TCP && packet[IP + 13] & PSH)
        run->ended = run->pushed = 1;
}

/* Write the run; return how many packets the kernel refused. */
static int flush(int fd, struct run *run)
{
    struct vnet vnet = {0};
    uint8_t head[IP + TCP_LONGEST];
    int parts = 2;
    if (run->count == 1) {
        run->parts[1].iov_base = (void *)run->first;
        run->parts[1].iov_len = run->size;
    } else {
        int tcp = run->protocol == TCP;
        size_t offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
        vnet.flags = NEEDS_CSUM;
        vnet.gso_type = tcp ? GSO_TCPV6 : GSO_UDP_L4;
        vnet.hdr_len = (uint16_t)run->head;
        vnet.gso_size = (uint16_t)run->step;
        vnet.csum_start = IP;
        vnet.csum_offset = (uint16_t)offset;
        memcpy(head, run->first, run->head);
        store16(head + 4, run->size - IP);
        if (!tcp)
            store16(head + IP + 4, run->size - IP);
        else if (run->pushed)
            head[IP + 13] |= PSH;
        uint16_t sum = fold(pseudo_sum(head, run->size - IP, run->protocol));
        memcpy(head + IP + offset, &sum, 2);
        run->parts[1].iov_base = head;
        run->parts[1].iov_len = run->head;
        parts += run->count;
    }
    run->parts[0].iov_base = &vnet;
    run->parts[0].iov_len = VNET;
    return writev(fd, run->parts, parts) < 0 ? run->count : 0;
}

static int merge(int fd, const uint8_t *packet, const uint8_t *end, int udp)
{
    struct run run = {0};
    int refused = 0;
    while (end - packet >= IP && packet[0] >> 4 == 6) {
        size_t size = (size_t)IP + load16(packet + 4);
        if (size > (size_t)(end - packet))
            break;
        if (run.count && continues(&run, packet, size) &&
            (run.verified || verify(run.first, run.size, run.protocol))) {
            run.verified = 1;
            if (verify(packet, size, run.protocol)) {
                append(&run, packet, size);
                packet += size;
                continue;
            }
        }
        if (run.count)
            refused += flush(fd, &run);
        begin(&run, packet, size, udp);
        packet += size;
    }
    if (run.count)
        refused += flush(fd, &run);
    return refused;
}

/* Refuse offsets outside of a buffer. */
static int outside(Py_ssize_t start, Py_ssize_t end, Py_ssize_t length)
{
    if (start >= 0 && start <= end && end <= length)
        return 0;
    PyErr_SetString(PyExc_ValueError, "offsets outside of the buffer");
    return 1;
}

static PyObject *py_segment(PyObject *self, PyObject *args)
{
    Py_buffer source, target;
    Py_ssize_t length, offset;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nw*n", &source, &length, &target, &offset))
        return NULL;
    if (!outside(0, length, source.len) && !outside(offset, target.len, target.len))
        result = PyLong_FromSsize_t(
            offset + (Py_ssize_t)cut(source.buf, (size_t)length, (uint8_t *)target.buf + offset,
                                     (size_t)(target.len - offset)));
    PyBuffer_Release(&source);
    PyBuffer_Release(&target);
    return result;
}

static PyObject *py_fill(PyObject *self, PyObject *args)
{
    Py_buffer raw, target;
    Py_ssize_t limit;
    int fd;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "iw*w*n", &fd, &raw, &target, &limit))
        return NULL;
    size_t end = 0, room = (size_t)target.len;
    Py_ssize_t taken = 0, refused = 0, size = 0;
    while (taken < limit && (Py_ssize_t)end < limit &&
           (size = read(fd, raw.buf, (size_t)raw.len)) > 0) {
        size_t bytes = cut(raw.buf, (size_t)size, (uint8_t *)target.buf + end, room - end);
        end += bytes;
        refused += !bytes;
        taken += size;
    }
    if (size < 0 && errno != EAGAIN)
        PyErr_SetFromErrno(PyExc_OSError);
    else
        result = Py_BuildValue("nn", (Py_ssize_t)end, refused);
    PyBuffer_Release(&raw);
    PyBuffer_Release(&target);
    return result;
}

static PyObject *py_coalesce(PyObject *self, PyObject *args)
{
    Py_buffer buffer;
    Py_ssize_t start, end;
    int fd, udp;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*nnp", &fd, &buffer, &start, &end, &udp))
        return NULL;
    const uint8_t *data = buffer.buf;
    if (!outside(start, end, buffer.len))
        result = PyLong_FromLong(merge(fd, data + start, data + end, udp));
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *py_walk(PyObject *self, PyObject *args)
{
    Py_buffer buffer;
    Py_ssize_t start, end;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*nn", &buffer, &start, &end))
        return NULL;
    if (!outside(start, end, buffer.len)) {
        const uint8_t *data = buffer.buf;
        Py_ssize_t at = start;
        while (end - at >= IP && data[at] >> 4 == 6) {
            Py_ssize_t after = at + IP + load16(data + at + 4);
            if (after > end || memcmp(data + at + 8, data + start + 8, 32))
                break;
            at = after;
        }
        result = PyLong_FromSsize_t(at);
    }
    PyBuffer_Release(&buffer);
    return result;
}

static PyMethodDef methods[] = {
    {"segment", py_segment, METH_VARARGS,
     "segment(source, length, target, offset): cut a super-packet; return the new end."},
    {"fill", py_fill, METH_VARARGS,
     "fill(fd, raw, target, limit): read and cut; return the end and how many were refused."},
    {"coalesce", py_coalesce, METH_VARARGS,
     "coalesce(fd, buffer, start, end, udp): write packets; return how many were refused."},
    {"walk", py_walk, METH_VARARGS,
     "walk(buffer, start, end): return where packets with the addresses of the first end."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_segments", "Packets and super-packets, in C.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__segments(void) { return PyModule_Create(&module); }
