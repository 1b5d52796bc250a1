"""What a policy may let clients try."""

import json
from dataclasses import asdict, replace

import pytest

from tests.pki.test_bundle import KEY, NOW, POLICY, PUBLIC
from throughway.model.errors import ConfigError
from throughway.model.policy import MAX_PROBES, ProbeKind, ResourceProbe
from throughway.pki import bundle
from throughway.pki.probes import check_probe, file_server

SITE = ResourceProbe(kind=ProbeKind.HTTP, target="http://app1.corp.example.com/", name="site")
FILES = ResourceProbe(kind=ProbeKind.FILE, target="files.corp.example.com", interval=600)


def payload_with(*probes: object) -> bytes:
    values = {"format": 1} | asdict(POLICY) | {"probes": list(probes)}
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_what_was_signed_comes_back() -> None:
    policy = replace(POLICY, probes=(SITE, FILES))
    assert bundle.verify(bundle.sign(policy, KEY), PUBLIC, NOW) == policy
    assert (SITE.title, FILES.title) == ("site", "file files.corp.example.com")


def test_a_policy_without_any_is_what_it_was_for_older_clients() -> None:
    assert b'"probes"' not in bundle.build_policy(POLICY)
    assert bundle.parse_policy(payload_with()).probes == ()


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ({"kind": "smtp", "target": "a.example"}, "probes[0].kind: 'smtp' is not one of"),
        ({"kind": "http", "target": "ftp://a.example/"}, "probes[0].target:"),
        ({"kind": "http", "target": "http://192.0.2.1/"}, "is an address where a DNS name"),
        ({"kind": "file", "target": "\\\\files\\share"}, "is not host or host:port"),
        ({"kind": "ping", "target": "ff02::1"}, "must be a routable unicast address"),
        ({"kind": "dns", "target": "2001:db8::1"}, "is not a DNS name"),
        ({"kind": "dns", "target": "a.example", "interval": 9}, "probes[0].interval: must be from"),
        ({"kind": "dns", "target": "a.example", "interval": 3601}, "must be at most 3600"),
        ({"kind": "dns", "target": "a.example", "often": True}, "probes[0].often: unknown key"),
        ({"kind": "dns"}, "probes[0].target: is missing"),
    ],
)
def test_what_no_client_could_try(probe: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bundle.parse_policy(payload_with(probe))
    assert why in str(caught.value)


def test_names_must_tell_them_apart() -> None:
    with pytest.raises(ConfigError, match=r"probes\[1\].name: 'site' is there already"):
        bundle.parse_policy(payload_with(asdict(SITE), asdict(replace(FILES, name="site"))))


def test_there_are_not_too_many() -> None:
    many = [{"kind": "dns", "target": f"a{n}.example"} for n in range(MAX_PROBES + 1)]
    assert len(bundle.parse_policy(payload_with(*many[1:])).probes) == MAX_PROBES
    with pytest.raises(ConfigError, match="must have 0 to 16 items, has 17"):
        bundle.parse_policy(payload_with(*many))


@pytest.mark.parametrize(
    ("target", "server"),
    [
        ("files.corp.example.com", ("files.corp.example.com", 445)),
        ("files.corp.example.com:1445", ("files.corp.example.com", 1445)),
        ("2001:db8::1", ("2001:db8::1", 445)),
        ("[2001:db8::1]", ("2001:db8::1", 445)),
        ("[2001:db8::1]:1445", ("2001:db8::1", 1445)),
    ],
)
def test_file_servers(target: str, server: tuple[str, int]) -> None:
    assert file_server(target) == server
    assert check_probe(ProbeKind.FILE, target) == server[0]


@pytest.mark.parametrize("target", ["", "host:", "host:0", "host:65536", "//host/share", "[::1"])
def test_what_is_no_file_server(target: str) -> None:
    with pytest.raises(ValueError, match=r" is not "):
        file_server(target)
