"""Break it, and the doctor says on the spot what broke; a bundle says the same elsewhere."""

import base64
import io
import json
import tarfile

from tests.scenarios.actions import wait_gateway_well
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, problems

BUNDLE = "/tmp/doctor-live.tar.gz"
SECRETS = """
cat /etc/throughway/*.password /etc/throughway/*.key /etc/throughway/accounts/*.nthash \
  /etc/throughway-lab/*.password 2>/dev/null || true
"""
SHORTEST = 6
"""Characters of a secret that is looked for; a shorter line of a key is in every text."""


def said(lab: Lab, host: str, *arguments: str) -> list[str]:
    """Return the codes that the doctor names, the root cause first."""
    answer = lab.run(host, ["throughway", "doctor", "--json", *arguments])
    assert answer.returncode in (0, 1), answer.stderr
    return [finding["code"] for finding in json.loads(answer.stdout)["diagnosis"]]


def collected(lab: Lab, host: str, *options: str) -> bytes:
    """Return the bundle that was collected, which only root could read there."""
    lab.run(host, ["rm", "-f", BUNDLE], check=True)
    lab.run(host, ["throughway", "collect", "--output", BUNDLE, *options], check=True)
    assert lab.run(host, ["stat", "-c", "%a", BUNDLE], check=True).stdout.strip() == "600"
    return base64.b64decode(lab.run(host, ["base64", BUNDLE], check=True).stdout)


def texts(bundle: bytes) -> str:
    """Return all that is in a bundle."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        members = [archive.extractfile(member) for member in archive]
        return "\n".join(file.read().decode() for file in members if file)


def secrets(lab: Lab) -> set[str]:
    """Return every password, hash and line of a key of this lab."""
    known: set[str] = set()
    for host in ("edge1", "client1", "client2"):
        lines = lab.run(host, ["sh", "-c", SECRETS], check=True).stdout.splitlines()
        known |= {line.strip() for line in lines if not line.startswith("-----")}
    return {secret for secret in known if len(secret) >= SHORTEST}


def test_the_gateway_that_does_not_forward(fresh: Lab) -> None:
    wait_gateway_well(fresh)
    assert said(fresh, "edge1", "--live") == []
    fresh.inject("forwarding-disabled")
    try:
        assert said(fresh, "edge1", "--live")[:1] == ["iphttps-forwarding-disabled"]
        bundle = collected(fresh, "edge1")
        assert said(fresh, "client1", "--live")[:1] == ["client-not-running"]
        fresh.write("app1", BUNDLE, bundle, 0o600)
        elsewhere = said(fresh, "app1", BUNDLE)
        assert elsewhere[:1] == ["iphttps-forwarding-disabled"]
    finally:
        fresh.clear("forwarding-disabled")
    told = texts(bundle)
    assert "gateway.keytab" in told
    assert [secret for secret in secrets(fresh) if secret in told] == []
    wait_gateway_well(fresh)


def test_the_client_that_does_not_get_out(fresh: Lab) -> None:
    fresh.inject("port-443-blocked")
    try:
        fresh.start_client("client1")
        Observer(fresh, "client1").wait(
            "the blocked port", lambda status: "iphttps-port-blocked" in problems(status)
        )
        assert said(fresh, "client1", "--live")[:1] == ["iphttps-port-blocked"]
        bundle = collected(fresh, "client1", "--no-network")
        assert said(fresh, "client1", BUNDLE)[:1] == ["iphttps-port-blocked"]
    finally:
        fresh.clear("port-443-blocked")
    told = texts(bundle)
    assert "account.password" in told
    assert [secret for secret in secrets(fresh) if secret in told] == []
