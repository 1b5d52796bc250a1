"""Clocks that are wrong on one host alone.

The hosts of a lab share the kernel's clock, and a time namespace has no wall clock of its own. So
a small library is loaded before all others into whatever begins on that host (ld.so(8),
/etc/ld.so.preload): there the wall clock is another one, and every other clock is the right one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene
from throughway.lab.faults.steps import restart_client, restart_gateway

LIBRARY, PRELOAD = "/etc/skewed-clock.so", "/etc/ld.so.preload"
SOURCE = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t which, struct timespec *to) {{
  int failed = syscall(SYS_clock_gettime, which, to);
  int wall = which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE;
  if (!failed && wall) to->tv_sec += {seconds};
  return failed;
}}
int gettimeofday(struct timeval *to, void *zone) {{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) {{ to->tv_sec = now.tv_sec; to->tv_usec = now.tv_nsec / 1000; }}
  return 0;
}}
time_t time(time_t *to) {{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}}
"""
COMPILE = ("cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", LIBRARY)
MINUTES = 60


@dataclass(frozen=True, slots=True)
class Skewed:
    """The clock of a host goes wrong, from the next start of its daemon on."""

    host: str
    seconds: int
    restart: Callable[[Scene], None]

    @property
    def holds(self) -> tuple[str, ...]:
        """The clock."""
        return (f"{self.host}:clock",)

    def do(self, scene: Scene) -> None:
        """Build the library (a C compiler is needed), have it loaded, restart the daemon."""
        host, source = scene.host(self.host), SOURCE.format(seconds=self.seconds)
        scene.lab.run(host, COMPILE, stdin=source, check=True)
        scene.lab.write(host, PRELOAD, f"{LIBRARY}\n")
        self.restart(scene)

    def undo(self, scene: Scene) -> None:
        """Load it no more."""
        scene.lab.run(scene.host(self.host), ["rm", "-f", PRELOAD, LIBRARY], check=True)
        self.restart(scene)


FAULTS = (
    Fault(
        name="client-clock-ahead",
        title="the client's clock is ten minutes ahead",
        steps=(Skewed(CLIENT, 10 * MINUTES, restart_client),),
        client="clock-skew",
    ),
    Fault(
        name="client-clock-behind",
        title="the client's clock is ten minutes behind",
        steps=(Skewed(CLIENT, -10 * MINUTES, restart_client),),
        client="clock-skew",
    ),
    Fault(
        name="gateway-clock-ahead",
        title="the gateway's clock is ten minutes ahead",
        steps=(Skewed(GATEWAY, 10 * MINUTES, restart_gateway),),
        client="kerberos-clock-skew",
        gateway="clock-skew",
    ),
    Fault(
        name="gateway-clock-behind",
        title="the gateway's clock is ten minutes behind",
        steps=(Skewed(GATEWAY, -10 * MINUTES, restart_gateway),),
        client="kerberos-clock-skew",
        gateway="clock-skew",
    ),
)
