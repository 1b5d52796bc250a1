"""Where a gateway's lists fail, it says so, as hard as it checks."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.revocation_world import CRL, ISSUING, OTHER, Web
from throughway.gateway.revocation import DIRECTORY, make_lists
from throughway.health.tracker import Tracker
from throughway.model.findings import Component, Severity
from throughway.model.revocation import Revocation
from throughway.net.revocation_lists import Want


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.mark.parametrize(
    ("policy", "code", "severity"),
    [
        (Revocation.STRONG, "ipsec-crl-unreachable", Severity.CRITICAL),
        (Revocation.WEAK, "ipsec-crl-not-renewed", Severity.WARNING),
    ],
)
def test_a_point_that_fails_is_named(
    web: Web, tmp_path: Path, policy: Revocation, code: str, severity: Severity
) -> None:
    tracker = Tracker(time.time, (Component.IPSEC, Component.CERTIFICATES))
    want = Want(web.url("/ca.crl"), issuers=(ISSUING.certificate,))

    async def scenario() -> None:
        lists = make_lists(tmp_path, tracker, lambda: policy)
        web.pages["/ca.crl"] = CRL().build(OTHER)
        await lists.get(want)
        [told] = tracker.current()
        assert (told.code, told.severity) == (code, severity)
        assert told.detail == f"{want.url}: the CRL is not signed with the key of Corp Issuing"
        lists.network_changed()
        web.pages["/ca.crl"] = CRL().build(ISSUING)
        await lists.get(want)
        await lists.stop()

    asyncio.run(scenario())
    assert tracker.current() == ()
    assert len(list((tmp_path / DIRECTORY).iterdir())) == 1
