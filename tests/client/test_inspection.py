"""A server that is not accepted is looked at once, and named from then on."""

import asyncio
import socket

import pytest

from tests.net.iphttps_world import wait_for
from tests.revocation_world import chain
from throughway.client import inspection as module
from throughway.client.inspection import UNNAMED, Inspection
from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Dial
from throughway.net.tls import _VERIFICATION_ERRORS

URL = "https://da.example.com/IPHTTPS"
EXPIRED = TransportError(
    Stage.TLS, "has expired", windows_code=0x800B0101, problem="iphttps-cert-expired"
)
CHAIN = chain()


async def nobody(_host: str, _port: int) -> socket.socket:
    raise TransportError(Stage.CONNECT, "no")


def test_it_is_named_when_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[str, int]] = []

    async def shown_chain(_dial: Dial, host: str, port: int) -> tuple[bytes, ...]:
        looks.append((host, port))
        return CHAIN.ders[:2]

    monkeypatch.setattr(module, "shown_chain", shown_chain)

    async def scenario() -> None:
        seen: list[TransportError] = []
        inspection = Inspection(nobody, seen.append)
        assert inspection.named(EXPIRED, URL) is EXPIRED
        await wait_for(lambda: seen)
        for named in (seen[0], inspection.named(EXPIRED, URL)):
            assert str(named).startswith("has expired; it shows the certificate of da.example.com")
            assert (named.problem, named.windows_code) == (EXPIRED.problem, 0x800B0101)
        assert looks == [("da.example.com", 443)]
        await inspection.stop()
        assert inspection.named(EXPIRED, URL) is EXPIRED
        await inspection.stop()

    asyncio.run(scenario())


def test_what_cannot_be_seen_stays_as_it_is() -> None:
    async def scenario() -> None:
        inspection = Inspection(nobody, lambda _: pytest.fail("nothing was seen"))
        inspection.named(EXPIRED, URL)
        await wait_for(lambda: inspection._looking is None or inspection._looking.done())
        assert inspection.named(EXPIRED, URL) is EXPIRED
        other = TransportError(Stage.TLS, "", problem="iphttps-cert-revoked")
        assert inspection.named(other, URL) is other
        await inspection.stop()

    asyncio.run(scenario())


def test_every_problem_of_openssl_s_is_named() -> None:
    of_openssl = {problem for _, problem in _VERIFICATION_ERRORS.values()}
    assert of_openssl - {p for p in of_openssl if "crl" in p or "revoked" in p} == UNNAMED
