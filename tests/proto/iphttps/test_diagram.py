"""The diagrams in the docs are those of the tables."""

from pathlib import Path

import pytest

from throughway.proto.iphttps import client, server, session
from throughway.proto.iphttps.diagram import state_diagram

PAGE = Path(__file__).parents[3] / "docs" / "protocols" / "iphttps.md"


@pytest.mark.parametrize(
    "diagram",
    [
        state_diagram(client.TRANSITIONS, client.State.DISABLED),
        state_diagram(server.TRANSITIONS, server.State.STOPPED),
        state_diagram(session.SESSION_TRANSITIONS, session.SessionState.HALF_OPEN),
    ],
    ids=["client", "server", "session"],
)
def test_the_docs_show_the_table(diagram: str) -> None:
    assert f"```mermaid\n{diagram}```\n" in PAGE.read_text(), diagram


def test_every_change_is_shown_and_no_standing_still() -> None:
    lines = state_diagram(client.TRANSITIONS, client.State.DISABLED).splitlines()
    assert lines[1] == "    [*] --> Disabled"
    assert "    LinkDown --> Established: connection made" in lines
    assert not [line for line in lines if "LinkDown --> LinkDown" in line]
