"""Joining by token, against the service as it runs: whole, twice, cut short, and refused."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.authority_world import (
    CLIENT,
    NAME,
    Authority,
    create_authority,
    make_token,
    now,
    serving,
)
from tests.net import squid_world
from tests.ports import free_port
from throughway.authority import directory as directories
from throughway.client import joining, settings
from throughway.client.enrolment import Joined, Place, leave
from throughway.client.joining import service_url
from throughway.model.errors import ConfigError, ThroughwayError, TransportError, TrustError
from throughway.model.policy import NRPTRule, Policy, TunnelPolicy
from throughway.net.est import ESTClient
from throughway.pki import bundle, judgement, pem
from throughway.pki.tokens import account_password, parse_token

SIGNING_KEY = Ed25519PrivateKey.generate()
DAY = 86400


def policy_for(anchor: str) -> bytes:
    policy = Policy(
        deployment="corp.example.com",
        version=1,
        issued_at=int(time.time()),
        expires_at=int(time.time()) + 30 * DAY,
        iphttps_url="https://da.example.com:443/IPHTTPS",
        gateway_identity=NAME,
        infrastructure=TunnelPolicy(endpoint="2001:db8:e::1", prefixes=("2001:db8:c0:1::/64",)),
        intranet=TunnelPolicy(endpoint="2001:db8:e::2", prefixes=("2001:db8:c0::/48",)),
        nrpt=(NRPTRule(namespace=".corp.example.com", servers=("2001:db8:c0:1::10",)),),
        nls_urls=("https://nls.corp.example.com/",),
        trust_anchors=(anchor,),
    )
    return bundle.sign(policy, SIGNING_KEY)


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with serving(policy="policy.bundle") as running:
        anchor = (running.directory / "ca.crt").read_text()
        (running.folder / "policy.bundle").write_bytes(policy_for(anchor))
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "etc", tmp_path / "state")


async def here(_: str) -> Sequence[str]:
    return ("127.0.0.1",)


def join(authority: Authority, token: str, place: Place, ahead: float = 0.0) -> Joined:
    return joining.join(
        authority.url, token, place, clock=lambda: time.time() + ahead, resolve=here
    )


def refused(
    problem: str, authority: Authority, token: str, place: Place, ahead: float = 0.0
) -> str:
    with pytest.raises(ThroughwayError) as told:
        join(authority, token, place, ahead)
    assert getattr(told.value, "problem", "") == problem
    assert not place.config.exists(), "nothing was begun that is not whole"
    return str(told.value)


def test_one_command_makes_a_client(authority: Authority, place: Place) -> None:
    token = authority.token()
    joined = join(authority, token, place)
    assert (joined.identity, joined.account) == (CLIENT, "CLIENT1$")
    config = settings.load(place.config)
    assert config.certificate == place.certificate
    assert place.password.read_text().strip() == account_password(parse_token(token))
    assert place.key.stat().st_mode & 0o077 == 0
    assert not place.pending_key.exists()
    own = pem.parse_certificate(place.certificate.read_bytes())
    (entry,) = directories.read_index(authority.directory).find(judgement.serial_of(own))
    assert entry.names == (CLIENT,)
    # Again, with the same token: nothing new is issued, nothing changes.
    before = {path: path.read_bytes() for path in place.files if path.exists()}
    join(authority, token, place)
    assert {path: path.read_bytes() for path in place.files if path.exists()} == before
    # With another token: another certificate.
    join(authority, authority.token(), place)
    assert place.certificate.read_bytes() != before[place.certificate]
    leave(place)
    assert not any(path.exists() for path in place.files)
    assert list(place.state.iterdir()) == []


def test_a_join_that_was_cut_short_goes_on(
    authority: Authority, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = authority.token()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(joining, "enrol", cut)
        with pytest.raises(KeyboardInterrupt):
            join(authority, token, place)
    assert place.pending_key.stat().st_mode & 0o077 == 0
    count = len(directories.read_index(authority.directory).entries)
    join(authority, token, place)
    assert len(directories.read_index(authority.directory).entries) == count
    # The key has gone from one disk: another computer cannot take it over.
    other = Place(place.directory.parent / "b", place.directory.parent / "b")
    assert "used before" in refused("enrolment-token-used", authority, token, other)


def test_a_password_that_somebody_chose_stays(authority: Authority, place: Place) -> None:
    place.directory.mkdir()
    place.password.write_text("of the domain\n")
    place.password.chmod(0o600)
    join(authority, authority.token(), place)
    assert place.password.read_text() == "of the domain\n"


def test_tokens_that_do_not_count(authority: Authority, place: Place, tmp_path: Path) -> None:
    void = authority.token()
    good = authority.token()
    assert "does not know" in refused("enrolment-token-unknown", authority, void, place)
    refused("enrolment-token-unknown", authority, good[:-3], place)
    old = authority.token("old.example.com", at=now() - timedelta(days=2))
    assert "has expired" in refused("enrolment-token-expired", authority, old, place)
    create_authority(tmp_path / "other")
    foreign = make_token(tmp_path / "other")
    words = refused("enrolment-server-not-genuine", authority, foreign, place)
    assert "'Root', which is not the one that made the token" in words


def test_nobody_in_between_hears_the_token(
    authority: Authority, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers can show the authority's certificate, which is public, but has not its key:
    the connection over which the token would go does not come about."""
    token = authority.token()
    anchor = pem.parse_certificate((authority.directory / "ca.crt").read_bytes())

    async def replayed(_: ESTClient) -> tuple[x509.Certificate, ...]:
        return (anchor,)

    monkeypatch.setattr(ESTClient, "authorities", replayed)
    with serving() as thief:
        words = refused("enrolment-server-not-genuine", thief, token, place)
        assert "not accepted" in words
        assert "admit" not in (log := (thief.folder / "log").read_text())
        assert "refused" not in log


def test_a_wrong_clock_is_told_with_both_times(authority: Authority, place: Place) -> None:
    words = refused("clock-skew", authority, authority.token(), place, ahead=-20 * DAY)
    assert "this computer's clock" in words
    assert "GMT" in words


def test_nobody_answers(authority: Authority, place: Place) -> None:
    away = Authority(authority.folder, 1, authority.process)
    with pytest.raises(TransportError) as told:
        join(away, authority.token(), place)
    assert told.value.problem == "enrolment-authority-offline"


def test_a_policy_of_another_key_than_the_pinned_one(authority: Authority, place: Place) -> None:
    place.directory.mkdir()
    other = Ed25519PrivateKey.generate().public_key()
    place.policy_key.write_bytes(pem.build_public_key_pem(other))
    with pytest.raises(TrustError, match="but this computer has joined"):
        join(authority, authority.token(), place)


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://da.example.com", "https://da.example.com:8443"),
        ("https://da.example.com/", "https://da.example.com:8443"),
        ("https://da.example.com:443", "https://da.example.com:443"),
        ("https://da.example.com/x", ""),
        ("http://da.example.com", ""),
        ("https://192.0.2.1", ""),
        ("https://user:secret@da.example.com", ""),
    ],
)
def test_urls(url: str, service: str) -> None:
    if service:
        assert service_url(url) == service
        return
    with pytest.raises(ConfigError) as told:
        service_url(url)
    assert "secret" not in str(told.value)


PROXY = """\
[proxy]
url = "http://127.0.0.1:{port}"
user = "{user}"
password_file = "proxy.password"
"""


def lead_nowhere(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> Callable[[str], Awaitable[Sequence[str]]]:
    """Return a resolver in a network where only a proxy knows the authority."""
    for name in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def nobody(_: str) -> Sequence[str]:
        raise OSError("there is no such name here")

    return nobody


@pytest.mark.lab
@pytest.mark.parametrize("scheme", ["nothing", "basic", "digest"])
def test_joining_through_a_proxy(
    authority: Authority, place: Place, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    token = authority.token()
    with squid_world.squid_folder() as folder:
        asking = getattr(squid_world, scheme)(folder) if scheme != "nothing" else []
        with squid_world.squid(port := free_port(), *asking, folder=folder) as log:
            environment = {} if asking else {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
            resolve = lead_nowhere(monkeypatch, environment)
            if asking:
                place.config.parent.mkdir(parents=True)
                secret = place.config.parent / "proxy.password"
                secret.touch(mode=0o600)
                secret.write_text(f"wrong {squid_world.PASSWORD}\n")
                place.config.write_text(PROXY.format(port=port, user=squid_world.USER))
                with pytest.raises(TransportError) as caught:
                    joining.join(authority.url, token, place, resolve=resolve)
                assert caught.value.problem == "proxy-credentials-refused"
                assert squid_world.PASSWORD not in str(caught.value)
                secret.write_text(f"{squid_world.PASSWORD}\n")
            joined = joining.join(authority.url, token, place, resolve=resolve)
            assert joined.identity == CLIENT
            assert f"CONNECT {NAME}:{authority.port}" in log.read_text()
    # The daemon goes the same way from now on.
    proxy = settings.load(place.config).proxy
    assert proxy.url == (f"http://127.0.0.1:{port}" if asking else "")


def test_without_any_way_that_is_told(
    authority: Authority, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(TransportError) as caught:
        joining.join(
            authority.url, authority.token(), place, resolve=lead_nowhere(monkeypatch, dead)
        )
    assert caught.value.problem == "proxy-unreachable"
    assert "directly: " in str(caught.value)
