"""tracert: arrives, ends on the way, is cut off."""

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import (
    TraceResult,
)

TRACE = """\

Tracing route to da.example.com [2001:db8::1]
over a maximum of 30 hops:

  1     1 ms    <1 ms    <1 ms  2001:db8:5::1
  2     *        *        *     Request timed out.
  3    11 ms    10 ms    12 ms  da.example.com [2001:db8::1]

Trace complete.
"""


def test_a_trace_that_arrives() -> None:
    (trace,) = facts(TRACE, TraceResult)
    assert (trace.target, trace.address) == ("da.example.com", "2001:db8::1")
    assert trace.hops == ("2001:db8:5::1", "2001:db8::1")
    assert trace.reached is True


def test_a_trace_cut_off_does_not_say() -> None:
    cut = TRACE[: TRACE.index("  3 ")]
    (trace,) = facts(cut, TraceResult)
    assert trace.reached is None


def test_a_trace_that_ends_on_the_way() -> None:
    silent = "".join(
        f"{hop:3}     *        *        *     Zeit\u00fcberschreitung\n" for hop in range(2, 31)
    )
    text = (
        "C:\\>tracert -d 2001:db8::1\n\n"
        "Routenverfolgung zu 2001:db8::1 \u00fcber maximal 30 Hops\n\n"
        "  1    <1 ms    <1 ms    <1 ms  192.0.2.1\n" + silent
    )
    (trace,) = facts(text, TraceResult)
    assert trace.target == "2001:db8::1"
    assert trace.reached is False
    reported = TRACE.replace(
        "  3    11 ms    10 ms    12 ms  da.example.com [2001:db8::1]",
        "  3  2001:db8:5::1  reports: Destination host unreachable.",
    )
    assert facts(reported, TraceResult)[0].reached is False
