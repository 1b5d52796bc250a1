"""The policy of a client: first, newer, refused, expired, fetched."""

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.patience import PATIENCE
from tests.pki.test_bundle import POLICY
from throughway.client import policy as client_policy
from throughway.client.names import StubError
from throughway.client.policy import PolicyKeeper
from throughway.model.config import ClientConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy
from throughway.pki.bundle import sign
from throughway.pki.pem import build_public_key_pem

KEY = Ed25519PrivateKey.generate()
NOW = int(time.time())
FIRST = replace(POLICY, version=1, issued_at=NOW - 60, expires_at=NOW + 86400)
SECOND = replace(FIRST, version=2)
EXPIRED = replace(FIRST, issued_at=NOW - 7200, expires_at=NOW - 3600)


class Kept:
    """A keeper over a directory, with what it told."""

    def __init__(self, folder: Path) -> None:
        self.config = ClientConfig(
            file=folder / "client.toml",
            certificate=folder / "c",
            key=folder / "k",
            account="CLIENT1$",
            identity="client1.corp.example.com",
            password_file=folder / "p",
            bundle=folder / "policy.bundle",
            policy_key=folder / "policy.pub",
        )
        self.config.policy_key.write_bytes(build_public_key_pem(KEY.public_key()))
        self.policies: list[int] = []
        self.troubles: list[str] = []
        self.keeper = PolicyKeeper(self.config, self._policy, self._trouble)

    async def _policy(self, policy: Policy) -> None:
        self.policies.append(policy.version)

    def _trouble(self, error: ThroughwayError | None) -> None:
        self.troubles.append(getattr(error, "problem", "") if error else "well")

    def put(self, policy: Policy, key: Ed25519PrivateKey = KEY) -> None:
        self.config.bundle.write_bytes(sign(policy, key))


def run(kept: Kept, scenario: Callable[[PolicyKeeper], Awaitable[None]]) -> None:
    async def whole() -> None:
        await kept.keeper.start()
        try:
            await scenario(kept.keeper)
        finally:
            await kept.keeper.close()

    asyncio.run(whole())


async def nothing(_keeper: PolicyKeeper) -> None:
    return


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.01)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_the_bundle_on_the_disk_is_the_first_policy(kept: Kept) -> None:
    kept.put(FIRST)
    run(kept, nothing)
    assert (kept.policies, kept.troubles) == ([1], ["well"])


@pytest.mark.parametrize(
    ("policy", "key", "problem"),
    [
        (EXPIRED, KEY, "policy-expired"),
        (FIRST, Ed25519PrivateKey.generate(), "policy-signature-invalid"),
    ],
)
def test_a_bundle_that_proves_nothing_is_refused(
    kept: Kept, policy: Policy, key: Ed25519PrivateKey, problem: str
) -> None:
    kept.put(policy, key)
    run(kept, nothing)
    assert (kept.policies, kept.troubles) == ([], [problem])


def test_without_a_policy_it_waits_for_one(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_policy, "LOOK_INTERVAL", 0.01)

    async def bundle_comes(_keeper: PolicyKeeper) -> None:
        assert kept.troubles == ["policy-missing"]
        kept.put(FIRST)
        await until(lambda: kept.policies)

    run(kept, bundle_comes)
    assert kept.policies == [1]
    assert kept.troubles[-1] == "well"


def fetched(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | ThroughwayError
) -> Callable[[PolicyKeeper], Awaitable[None]]:
    """Return a scenario that fetches once."""
    done = asyncio.Event()

    async def fetch(_url: str, **_options: object) -> bytes:
        done.set()
        if isinstance(answer, ThroughwayError):
            raise answer
        return answer

    monkeypatch.setattr(client_policy, "download", fetch)

    async def scenario(keeper: PolicyKeeper) -> None:
        keeper.fetch_if_due()
        await asyncio.wait_for(done.wait(), PATIENCE)
        await keeper.finished()

    return scenario


def test_a_newer_bundle_is_fetched_and_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put(FIRST)
    run(kept, fetched(monkeypatch, sign(SECOND, KEY)))
    assert kept.policies == [1, 2]
    again = Kept(kept.config.file.parent)
    run(again, nothing)
    assert again.policies == [2]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (sign(SECOND, Ed25519PrivateKey.generate()), "policy-signature-invalid"),
        (sign(replace(EXPIRED, version=2), KEY), "policy-expired"),
        (b"<html>portal</html>", "policy-signature-invalid"),
        (TransportError(Stage.CONNECT, "refused"), "policy-unreachable"),
    ],
    ids=("forged", "expired", "portal", "refused"),
)
def test_the_last_good_one_stays(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, answer: bytes | ThroughwayError, problem: str
) -> None:
    kept.put(FIRST)
    run(kept, fetched(monkeypatch, answer))
    assert kept.policies == [1]
    assert kept.troubles == ["well", problem]
    assert kept.config.bundle.read_bytes() == sign(FIRST, KEY)


def test_who_asks_while_a_fetch_is_under_way_gets_what_is_newer(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [sign(FIRST, KEY), sign(SECOND, KEY)]
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def fetch(_url: str, **_options: object) -> bytes:
        answer = answers.pop(0)
        under_way.set()
        await go_on.wait()
        return answer

    async def asked_twice(keeper: PolicyKeeper) -> None:
        keeper.fetch_now()
        await asyncio.wait_for(under_way.wait(), PATIENCE)
        keeper.fetch_now()
        go_on.set()
        await keeper.finished()

    monkeypatch.setattr(client_policy, "download", fetch)
    kept.put(FIRST)
    run(kept, asked_twice)
    assert (kept.policies, answers) == ([1, 2], [])


def test_a_full_disk_ends_nothing(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> Policy:
        raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/policy.bundle")

    kept.put(FIRST)
    monkeypatch.setattr(client_policy, "install_bundle", full)
    run(kept, fetched(monkeypatch, b""))  # and it can be closed
    assert kept.policies == [1]
    assert len(kept.troubles) == 2


def test_a_disk_that_is_full_from_the_start_is_waited_for(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_policy, "LOOK_INTERVAL", 0.01)
    good, full = kept.keeper._on_policy, [True]

    async def put_in_force(policy: Policy) -> None:
        if full.pop():
            raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/resolv.conf.original")
        full.append(False)
        await good(policy)

    async def room(_keeper: PolicyKeeper) -> None:
        assert kept.troubles == ["files-not-writable"]
        full.append(False)
        await until(lambda: kept.policies)

    monkeypatch.setattr(kept.keeper, "_on_policy", put_in_force)
    kept.put(FIRST)
    run(kept, room)
    assert (kept.policies, kept.troubles[-1]) == ([1], "well")


@pytest.mark.parametrize("why", [StubError("port 53 is taken"), ThroughwayError("no TUN device")])
def test_who_keeps_the_resolver_from_starting_is_told_and_waited_for(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, why: ThroughwayError
) -> None:
    monkeypatch.setattr(client_policy, "LOOK_INTERVAL", 0.01)
    good, failures = kept.keeper._on_policy, [why]

    async def put_in_force(policy: Policy) -> None:
        if failures:
            raise failures.pop()
        await good(policy)

    async def let_go(_keeper: PolicyKeeper) -> None:
        assert kept.troubles == ["stub-resolver-down"]
        await until(lambda: kept.policies)

    monkeypatch.setattr(kept.keeper, "_on_policy", put_in_force)
    kept.put(FIRST)
    if isinstance(why, StubError):
        run(kept, let_go)
        assert (kept.policies, kept.troubles[-1]) == ([1], "well")
    else:  # what this program cannot tell the remedy of ends it
        with pytest.raises(ThroughwayError, match="no TUN device"):
            run(kept, let_go)


def test_a_policy_that_could_not_be_put_in_force_is_tried_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_policy, "LOOK_INTERVAL", 0.01)
    taken: list[int] = []

    async def fail_once(policy: Policy) -> None:
        taken.append(policy.version)
        if len(taken) == 1:
            raise ThroughwayError("port 53 is taken")

    monkeypatch.setattr(kept.keeper, "_on_policy", fail_once)

    async def bundle_comes(keeper: PolicyKeeper) -> None:
        kept.put(FIRST)
        await until(lambda: keeper.version)

    run(kept, bundle_comes)
    assert taken == [1, 1]
    assert kept.troubles[-1] == "well"
