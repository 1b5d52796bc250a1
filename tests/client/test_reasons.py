"""The gateway's words for a refusal: asked in time, marked, and forgotten again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ipsec_world import Deployment
from throughway.client import reasons as module
from throughway.client.reasons import Reasons, chosen, error_of, parse
from throughway.model.audit import Reason
from throughway.model.errors import IPsecError, Stage, TransportError, WireError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.causes import UNSPECIFIED

WRONG = Reason(age=1.0, tunnel="infrastructure", problem="ipsec-cert-expired", reason="too old")
REFUSED = IPsecError("received AUTHENTICATION_FAILED notify error", problem=UNSPECIFIED)
DOWN = TunnelStatus(name="infrastructure", state=TunnelState.DOWN, last_error="AUTH_FAILED")


class Scene(Reasons):
    """A client whose gateway gives these answers, one after the other."""

    def __init__(
        self, folder: Path, *answers: Sequence[Reason] | Exception, port: int = 4433
    ) -> None:
        deployment = Deployment.create(folder)
        policy = replace(deployment.policy(), reasons_port=port)
        self.told: list[tuple[str, IPsecError]] = []
        self.asked = 0
        self.answers = answers
        super().__init__(deployment.client(), policy, lambda *told: self.told.append(told))

    async def _answer(self) -> tuple[Reason, ...]:
        answer = self.answers[self.asked]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)

    async def settle(self) -> None:
        await asyncio.gather(*self._tasks.values())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))


def test_the_gateways_words_are_marked_and_stay_until_the_tunnel_is_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, [WRONG])
        assert scene.failed("infrastructure", REFUSED) is REFUSED
        await scene.settle()
        ((tunnel, error),) = scene.told
        assert (tunnel, error.problem) == ("infrastructure", "ipsec-cert-expired")
        assert str(error) == "the gateway says: too old"
        # The next attempt fails alike: nothing is asked so soon, and the words stay.
        assert scene.failed("infrastructure", REFUSED) is error
        assert scene.asked == 1
        (shown,) = scene.shown([DOWN])
        assert shown.last_error == "the gateway says: too old"
        assert scene.shown([replace(DOWN, state=TunnelState.UP)])[0].last_error == "AUTH_FAILED"
        scene.forget("infrastructure")
        assert scene.shown([DOWN]) == (DOWN,)
        await scene.close()

    asyncio.run(scenario())


def test_what_is_still_being_asked_is_forgotten_too(tmp_path: Path) -> None:
    """It is about somebody who has gone, or about what does not hold any more."""

    async def scenario() -> None:
        scene = Scene(tmp_path, [WRONG], [WRONG])
        scene.failed("infrastructure", REFUSED)
        asking = scene._tasks["infrastructure"]
        scene.forget("infrastructure")
        await asyncio.wait((asking,))
        assert scene.told == []
        # The next failure is asked about at once, though the former one had been a moment ago.
        assert scene.failed("infrastructure", REFUSED) is REFUSED
        await scene.settle()
        assert len(scene.told) == 1
        await scene.close()

    asyncio.run(scenario())


def test_a_gateway_that_does_not_know_yet_is_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, TransportError(Stage.CONNECT, "no"), [WRONG])
        scene.failed("infrastructure", REFUSED)
        await scene.settle()
        assert scene.asked == 2
        assert len(scene.told) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("port", "problem"), [(0, UNSPECIFIED), (4433, "ipsec-negotiation-timeout")]
)
def test_where_the_policy_or_the_failure_says_nothing_of_it_nobody_is_asked(
    tmp_path: Path, port: int, problem: str
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, port=port)
        scene.failed("infrastructure", IPsecError("x", problem=problem))
        await scene.settle()
        assert scene.asked == 0

    asyncio.run(scenario())


def test_an_answer_that_is_old_or_of_another_tunnel_explains_nothing() -> None:
    assert chosen([replace(WRONG, age=60.0)], "infrastructure", 12.0) is None
    assert chosen([WRONG], "intranet", 12.0) is None
    computer = replace(WRONG, tunnel="", age=5.0)
    assert chosen([computer, WRONG], "infrastructure", 12.0) is WRONG
    assert chosen([computer, WRONG], "intranet", 12.0) is computer


def test_words_are_cleaned_and_unknown_codes_are_not_believed() -> None:
    error = error_of(replace(WRONG, problem="format-disk", reason="\x1b[2Jrun rm -rf\n"))
    assert error.problem == UNSPECIFIED
    assert str(error).isprintable()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"refusals": 1}', b'{"refusals": [{}]}'])
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse(data)
