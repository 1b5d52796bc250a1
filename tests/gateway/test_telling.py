"""What the gateway makes of what its parts tell: rows of the status, problems, refused clients."""

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest

from tests.net.iphttps_world import wait_for
from throughway.gateway import telling as module
from throughway.gateway.refusals import MISMATCH
from throughway.gateway.telling import HEADERLESS, HEADERLESS_MANY, REFUSALS_SHOWN, Telling
from throughway.health.tracker import Tracker
from throughway.model.status import SessionStatus, WorkerStatus

if TYPE_CHECKING:
    from throughway.gateway.audit import GatewayAudit

RESTARTING, LIMIT = "worker-restarting", "connection-limit-reached"
SESSION = SessionStatus(id=7, peer="192.0.2.7:4711", since=0.0)


class Scene:
    """A telling whose audit only notes, and what it did."""

    def __init__(self) -> None:
        self.tracker = Tracker(lambda: 0.0, ())
        self.audited: list[tuple[str, ...]] = []
        self.mended = self.exhausted = 0
        audit = cast("GatewayAudit", self)
        self.telling = Telling(self.tracker, audit, self._mend, self._exhaust)

    def _mend(self) -> None:
        self.mended += 1

    def _exhaust(self) -> None:
        self.exhausted += 1

    def cut(self, *words: str) -> None:
        self.audited.append(words)

    session_refused = cut

    def session_opened(self, session: SessionStatus) -> None:
        """Nothing is noted of it here."""

    @property
    def problems(self) -> list[str]:
        return [problem.code for problem in self.tracker.current()]


def worker(restarts: int = 0) -> WorkerStatus:
    return WorkerStatus(
        number=1,
        state="serving",
        interface="iphttps1",
        prefix="2001:db8:da:1001::/64",
        restarts=restarts,
        last_end="killed by signal 9",
    )


def test_a_mistyped_password_is_shown_but_is_no_problem_of_the_gateway() -> None:
    scene = Scene()
    scene.telling.refused("wrong password", "ipsec-computer-account-refused", "2001:db8::1")
    assert scene.problems == []
    assert [r.reason for r in scene.telling.refusals] == ["wrong password"]


def test_a_stolen_certificate_is_one_problem_from_however_many_addresses() -> None:
    scene = Scene()
    for number in range(1000):
        scene.telling.refused("no", MISMATCH, f"client1.corp.example.com (2001:db8::{number:x})")
    assert scene.problems == [MISMATCH]
    scene.telling.refused("no", MISMATCH, "client2.corp.example.com (2001:db8::1)")
    assert scene.problems == [MISMATCH] * 2


def test_refusals_are_bounded() -> None:
    telling = Scene().telling
    for number in range(REFUSALS_SHOWN * 3):
        telling.refused("no", "", f"2001:db8::{number}")
    shown = list(telling.refusals)
    assert len(shown) == REFUSALS_SHOWN
    assert shown[-1].peer == f"2001:db8::{REFUSALS_SHOWN * 3 - 1}"


def test_who_is_refused_or_cut_is_in_the_audit_too() -> None:
    scene = Scene()
    scene.telling.client_refused("192.0.2.7:4711", "iphttps-adc-stranger", "why")
    scene.telling.cut("disabled", "ipsec-user-refused", "client1 (2001:db8::1)")
    assert [words[0] for words in scene.audited] == ["192.0.2.7:4711", "disabled"]
    assert len(list(scene.telling.refusals)) == 2


@pytest.mark.parametrize(
    ("tell", "code", "shown"),
    [
        (lambda telling: telling.limit_reached("192.0.2.7"), LIMIT, "LIMIT_SHOWN"),
        (lambda telling: telling.worker_serves(worker(1)), RESTARTING, "RESTART_SHOWN"),
    ],
    ids=["limit", "restart"],
)
def test_what_is_over_is_told_for_a_while_longer(
    tell: Callable[[Telling], None], code: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, shown, 0.0)

    async def scenario() -> None:
        scene = Scene()
        if code == RESTARTING:
            scene.telling.worker_ended(worker())
        else:
            tell(scene.telling)
        assert scene.problems == [code]
        tell(scene.telling)
        assert scene.problems == [code]
        await wait_for(lambda: not scene.problems)

    asyncio.run(scenario())


def test_a_link_that_was_mended_may_have_had_the_endpoints() -> None:
    scene = Scene()
    scene.telling.link_mended(worker())
    assert scene.mended == 1


def test_files_that_cannot_be_opened_are_no_mistake_of_ours() -> None:
    scene = Scene()
    scene.telling.failed("socket.accept()", OSError(errno.EMFILE, "Too many open files"))
    assert (scene.exhausted, scene.problems) == (1, [])
    scene.telling.failed("something", OSError(errno.EIO, "Input/output error"))
    assert (scene.exhausted, scene.problems) == (1, ["bug-in-throughway"])


def come_without_header(scene: Scene, times: int) -> None:
    for port in range(times):
        scene.telling.client_refused(f"10.0.0.1:{port}", HEADERLESS, "no PROXY header")


def test_when_all_come_without_a_proxy_header_it_is_a_problem_until_one_comes_in() -> None:
    async def scenario() -> None:
        scene = Scene()
        come_without_header(scene, HEADERLESS_MANY - 1)
        assert scene.problems == []
        come_without_header(scene, 1)
        assert scene.problems == [HEADERLESS]
        assert "10.0.0.1:0" in scene.tracker.current()[0].detail
        come_without_header(scene, 20 * HEADERLESS_MANY)
        assert scene.problems == [HEADERLESS]
        assert len(scene.tracker.history) == 5, "a flood fills no log"
        scene.telling.session_opened(SESSION)
        assert scene.problems == []
        # Others come in: then it is somebody's scanner.
        for _ in range(HEADERLESS_MANY):
            come_without_header(scene, HEADERLESS_MANY - 1)
            scene.telling.session_opened(SESSION)
        assert scene.problems == []

    asyncio.run(scenario())


def test_what_is_refused_for_other_reasons_is_no_missing_header() -> None:
    scene = Scene()
    for _ in range(HEADERLESS_MANY):
        scene.telling.client_refused("192.0.2.7:4711", "iphttps-adc-stranger", "why")
    assert scene.problems == []


def test_missing_headers_are_over_when_nobody_comes_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEADERLESS_SHOWN", 0.0)

    async def scenario() -> None:
        scene = Scene()
        come_without_header(scene, HEADERLESS_MANY)
        assert scene.problems == [HEADERLESS]
        await wait_for(lambda: not scene.problems)
        come_without_header(scene, HEADERLESS_MANY - 1)
        assert scene.problems == []

    asyncio.run(scenario())
