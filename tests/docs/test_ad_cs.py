"""docs/operate/ad-cs.md: its commands, with a certificate as AD CS makes them, up to the tunnel."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ad_cs
from tests.ipsec_world import CLIENT, SERVER, Site
from tests.pki_world import SIGNING_KEY
from throughway.client import settings
from throughway.model.policy import NRPTRule
from throughway.pki import bundle

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "ad-cs.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = "client1.corp.example.com"


def run(folder: Path, block: str) -> str:
    """Run a block of the page; joining goes into the folder and not into this machine."""
    places = f"--directory {folder}/etc --state-directory {folder}/state"
    trust = f"--trust '{bundle.fingerprint(SIGNING_KEY.public_key())}'"
    block = block.replace("throughway client join", f"throughway client join {places} {trust}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    answer = subprocess.run(
        ("sh", "-euc", block),
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.lab
def test_the_page_leads_to_a_tunnel(tmp_path: Path) -> None:
    ask, join = BLOCK.findall(PAGE.read_text())
    folder = tmp_path / "client"
    folder.mkdir()
    ad_cs.create(folder)
    run(folder, ask)
    assert (folder / "computer.key").stat().st_mode & 0o077 == 0
    ad_cs.issue(folder, "computer", NAME)

    site = Site(tmp_path)
    try:
        deployment = site.deployment
        root = (folder / f"{ad_cs.ROOT}.crt").read_bytes()
        ca = tmp_path / "ca.pem"
        ca.write_bytes(ca.read_bytes() + root)
        site.world.gateway.run(site.gateway.reload(deployment.computers(1, 2)))
        policy = replace(
            site.policy,
            trust_anchors=(*site.policy.trust_anchors, root.decode()),
            nls_urls=("https://nls.corp.example.com/",),
            nrpt=(NRPTRule(namespace=".corp.example.com", servers=("2001:db8:c0:1::10",)),),
            issued_at=int(time.time()),
            expires_at=int(time.time()) + 86400,
        )
        (folder / "policy.bundle").write_bytes(bundle.sign(policy, SIGNING_KEY))
        deployment.write("client/account.password", b"password 1\n").chmod(0o600)
        said = run(folder, join)
        assert "computer.crt: OK" in said
        assert f"DNS:{NAME}" in said
        config = settings.load(folder / "etc" / "client.toml")
        assert (config.identity, config.account) == (NAME, "CLIENT1$")
        site.policy = policy
        site.start_client(replace(config, runtime_directory=tmp_path / "run-client"))
        site.up()
        [tunnel] = site.at_gateway("infrastructure")
        assert tunnel.remote_identity == NAME
        assert site.world.reach(SERVER) == CLIENT
    finally:
        site.close()
