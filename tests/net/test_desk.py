"""Who sits at the computer, as the real library reads it from what logind has written."""

from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from throughway.net import desk

RUN = Path("/run/systemd")
ALICE, BOB, NOBODY = 1000, 1001, 65534
GREETER = 120


def write(seat: str, **users: str) -> None:
    """Put logind's books in place: who is active at the seat, what is known of users."""
    for folder in ("seats", "users", "sessions"):
        (RUN / folder).mkdir(exist_ok=True)
    (RUN / "seats" / "seat0").write_text(f"IS_SEAT0=1\n{seat}")
    for uid, lines in users.items():
        (RUN / "users" / uid.strip("_")).write_text(lines)


def _books() -> None:
    run("mount", "-t", "tmpfs", "none", str(RUN))
    assert not desk.is_known()
    assert not desk.anybody_at_desk()
    assert not desk.has_session(ALICE)
    write("")
    assert desk.is_known()
    assert not desk.anybody_at_desk()
    (RUN / "sessions" / "1").write_text(f"UID={GREETER}\nCLASS=greeter\nSEAT=seat0\n")
    write(f"ACTIVE=1\nACTIVE_UID={GREETER}\nSESSIONS=1\n")
    assert not desk.anybody_at_desk()
    (RUN / "sessions" / "2").write_text(f"UID={ALICE}\nCLASS=user\nSEAT=seat0\n")
    write(
        f"ACTIVE=2\nACTIVE_UID={ALICE}\nSESSIONS=1 2\n",
        _1000="NAME=alice\nSTATE=active\nSESSIONS=2\nSEATS=seat0\n"
        "ACTIVE_SESSIONS=2\nACTIVE_SEATS=seat0\n",
        _1001="NAME=bob\nSTATE=active\nSESSIONS=3\nSEATS=\nACTIVE_SESSIONS=3\nACTIVE_SEATS=\n",
    )
    assert desk.anybody_at_desk()
    assert [desk.at_desk(uid) for uid in (ALICE, BOB, NOBODY)] == [True, False, False]
    assert [desk.has_session(uid) for uid in (ALICE, BOB, NOBODY)] == [True, True, False]
    # Another one has taken the seat, alice's session goes on behind it.
    write(
        "ACTIVE=4\nSESSIONS=2 4\n",
        _1000="NAME=alice\nSTATE=online\nSESSIONS=2\nSEATS=seat0\n"
        "ACTIVE_SESSIONS=\nACTIVE_SEATS=\n",
    )
    assert not desk.at_desk(ALICE)
    assert not desk.has_session(ALICE)


@pytest.mark.lab
def test_who_is_at_the_desk() -> None:
    in_namespace(_books)
