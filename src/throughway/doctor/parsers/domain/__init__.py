"""The domain: controllers, group policy, time."""

from throughway.doctor.parsers.domain import gpresult, nltest, w32tm

PARSERS = (
    nltest.PARSER,
    gpresult.PARSER,
    w32tm.PARSER,
)
