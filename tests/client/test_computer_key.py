"""The computer's key on a token: for IPsec, not for TLS; a wrong PIN is presented once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ipsec_world import CLIENT, SERVER, Deployment, Site
from tests.smart_cards import MODULE, PIN, CardBox
from throughway.client.computer_key import distrust, modules_of, shown_by_tls
from throughway.model.config import ClientConfig, SmartCardConfig, TokenKey
from throughway.model.errors import IPsecError
from throughway.pki.authority import Profile, create_root
from throughway.pki.pem import build_certificate_pem


def on_token(config: ClientConfig, pin: Path | None) -> ClientConfig:
    token = TokenKey(module=MODULE, token="computer", id="a1", pin_file=pin)
    return replace(config, key=Path("/nonexistent"), token_key=token)


def test_what_tls_shows_and_what_charon_loads(tmp_path: Path) -> None:
    config = Deployment.create(tmp_path).client()
    assert shown_by_tls(config) == {"certificate": config.certificate, "key": config.key}
    assert modules_of(config) == ()
    token = replace(on_token(config, None), smart_card=SmartCardConfig(module=Path("/cards.so")))
    assert shown_by_tls(token) == {"certificate": None, "key": None}
    assert modules_of(token) == (MODULE, Path("/cards.so"))


def test_whom_nobody_with_our_authorities_trusts(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    config, anchors = deployment.client(), deployment.policy().trust_anchors
    deployment.credential("client1", Profile.COMPUTER, config.identity)
    assert distrust(config.certificate, anchors) == ""
    stranger = create_root("Another Root", datetime.now(UTC) - timedelta(days=9))
    other = build_certificate_pem(stranger.certificate).decode()
    assert "is not trusted here" in distrust(config.certificate, (other,))
    assert distrust(config.certificate, (other, *anchors)) == ""
    assert distrust(config.certificate, ("no certificate",)) == "", "nobody can tell"
    deployment.credential("client1", Profile.COMPUTER, config.identity, age_days=60)
    assert distrust(config.certificate, anchors) == "", "of its dates others tell"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(tmp_path)
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    identity = "client1.corp.example.com"
    box.insert("computer", site.deployment.credential("client1", Profile.COMPUTER, identity))
    (tmp_path / "client1.key").unlink()
    yield site
    site.close()


@pytest.mark.lab
def test_a_computer_whose_key_is_on_a_token(site: Site) -> None:
    pin = site.deployment.write("pin", f"{PIN}\n".encode())
    pin.chmod(0o600)
    client = site.start_client(on_token(site.deployment.client(), pin))
    site.up()
    assert site.world.reach(SERVER) == CLIENT
    # A newer policy makes charon forget all keys.
    site.world.client.run(client.update_policy(site.deployment.policy()))
    site.up(renew=True)
    assert site.world.reach(SERVER) == CLIENT


@pytest.mark.lab
def test_a_wrong_pin_is_presented_once(site: Site) -> None:
    pin = site.deployment.write("pin", b"0000\n")
    pin.chmod(0o600)
    for _ in range(2):
        with pytest.raises(IPsecError, match="refused its PIN") as caught:
            site.start_client(on_token(site.deployment.client(), pin))
        assert caught.value.problem == "computer-key-token-unusable"


@pytest.mark.lab
def test_a_token_that_is_not_there(site: Site) -> None:
    config = on_token(site.deployment.client(), None)
    assert config.token_key is not None
    config = replace(config, token_key=replace(config.token_key, token="another"))
    with pytest.raises(IPsecError, match="no token another; there is computer"):
        site.start_client(config)
