"""6to4 and Teredo in the gateway's Operations Status."""

from throughway.gateway.transition import Transition
from throughway.health.tracker import Tracker
from throughway.model.errors import Stage, TransportError
from throughway.model.status import SixToFourServerStatus, TeredoServerStatus


def codes(tracker: Tracker) -> set[str]:
    return {condition.code for condition in tracker.current()}


def test_what_is_down_is_shown_until_it_serves_again() -> None:
    tracker = Tracker(lambda: 0.0)
    heard = Transition(tracker)
    for down, problem in (
        (heard.sixtofour_down, "sixtofour-interface-down"),
        (heard.teredo_down, "teredo-server-stopped"),
    ):
        down(TransportError(Stage.LINK, "gone", problem=problem))
        assert codes(tracker) == {problem}
        heard.sixtofour_serves(SixToFourServerStatus(state="serving", carrier="kernel"))
        heard.teredo_serves(TeredoServerStatus(state="serving", interface="teredo0"))
        assert codes(tracker) == set()
