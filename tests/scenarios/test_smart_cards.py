"""Only a smart card opens the intranet, and only while it is in the reader."""

import time
from collections.abc import Iterator

import pytest

from tests.scenarios.actions import gateway_status, kept, leaks, login, refusal
from tests.smart_cards import MODULE, PIN, SECURITY_OFFICER, Person, users_root
from throughway.lab.deployment import CLIENT_CONFIG, CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE_BY_ADDRESS, PATIENCE, Observer, problems, tunnel
from throughway.pki.pem import build_certificate_pem, build_key_pem

ROOT = f"{CONFIGURATION}/users.crt"
REQUIRE = '[users]\nrequire = "smart-card"\n'
CERTIFICATES = '\n[users.certificates]\nca = "users.crt"\n'
CARD = f'\n[smart_card]\nmodule = "{MODULE}"\n'
TOKENS = "/var/lib/softhsm/tokens"
"""Of SoftHSM, which is the readers of this client."""


def insert(lab: Lab, host: str) -> None:
    """Put alice's card into the reader."""
    alice = Person().issue(AUTHORITY)
    lab.write(host, "/root/card.key", build_key_pem(alice.key), 0o600)
    lab.write(host, "/root/card.crt", build_certificate_pem(alice.certificate))
    pin = ("--pin", PIN)
    token = ("softhsm2-util", "--init-token", "--free", "--label", "alice")
    key = ("softhsm2-util", "--import", "/root/card.key", "--token", "alice", "--label", "alice")
    tool = ("pkcs11-tool", "--module", str(MODULE), "--token-label", "alice", "--login")
    certificate = ("--write-object", "/root/card.crt", "--type", "cert", "--id", "a1")
    for command in (
        (*token, "--so-pin", SECURITY_OFFICER, *pin),
        (*key, "--id", "a1", *pin),
        (*tool, *pin, *certificate),
        ("rm", "/root/card.key", "/root/card.crt"),
    ):
        lab.run(host, command, check=True)


AUTHORITY = users_root()


@pytest.fixture
def strict(fresh: Lab) -> Iterator[Lab]:
    """A gateway that wants smart cards, and a client that knows a reader."""
    with kept(fresh, "edge1", GATEWAY_CONFIG, ROOT), kept(fresh, "client1", CLIENT_CONFIG):
        fresh.write("edge1", ROOT, build_certificate_pem(AUTHORITY.certificate))
        text = fresh.read("edge1", GATEWAY_CONFIG).replace("[users]\n", REQUIRE, 1)
        fresh.write("edge1", GATEWAY_CONFIG, text + CERTIFICATES)
        client = fresh.read("client1", CLIENT_CONFIG)
        fresh.write("client1", CLIENT_CONFIG, client + CARD)
        fresh.stop_gateway()
        fresh.start_gateway()
        yield fresh
        fresh.stop_client("client1")
        fresh.run("client1", ["sh", "-c", f"rm -rf {TOKENS}/*"], check=True)
    fresh.stop_gateway()
    fresh.start_gateway()


def card_login(client: Observer, pin: str) -> tuple[int, str]:
    command = ["throughway", "login", "--smart-card", "--pin-fd", "0", "--wait", f"{PATIENCE:g}"]
    answer = client.lab.run(client.host, command, stdin=f"{pin}\n", timeout=2 * PATIENCE)
    return answer.returncode, answer.stdout + answer.stderr


def test_only_a_smart_card_opens_the_intranet(strict: Lab) -> None:
    lab = strict
    insert(lab, "client1")
    lab.start_client("client1")
    client = Observer(lab, "client1")
    client.wait_tunnel("infrastructure")

    began = time.time()
    answer = login(client, "alice")
    assert answer.returncode == 1
    assert "smart card" in answer.stderr, "the client says what the gateway wants"
    told = refusal(lab, "alice@CORP.EXAMPLE.COM", after=began)
    assert told["problem"] == "ipsec-smart-card-required"
    assert "came with a ticket" in str(told["reason"])
    lab.run("client1", ["throughway", "logout"], check=True)

    code, said = card_login(client, "0000")
    assert code == 1
    assert "The card refused the PIN" in said
    assert "some tries are used up" in said

    code, said = card_login(client, PIN)
    assert code == 0, said
    assert PIN not in said
    assert leaks(lab, {"PIN": PIN}) == []
    assert client.wait_page(PAGE_BY_ADDRESS)
    up = tunnel(gateway_status(lab), "intranet")
    assert up["account"] == "alice@CORP.EXAMPLE.COM"
    client.wait_well()

    lab.run("client1", ["mv", TOKENS, f"{TOKENS}.pulled"], check=True)
    try:
        client.wait("logged off", lambda s: not s["user"] and not tunnel(s, "intranet"))
        client.wait("told why", lambda s: "smart-card-removed" in problems(s))
        assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""
    finally:
        lab.run("client1", ["mv", f"{TOKENS}.pulled", TOKENS], check=True)
    log = lab.read("client1", "/var/log/throughway/client.log")
    assert "smart card pulled" in log
    assert PIN not in log
