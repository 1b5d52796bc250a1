"""Filters and answers; against a real directory: test_directory.py."""

import io
import json
from collections.abc import Iterator

import pytest

from throughway.net import directory_process as module
from throughway.net.directory_process import (
    MAX_VALUES,
    Connection,
    DirectoryError,
    account_filter,
    answer,
    ask,
    computer_filter,
    escape,
    group_filter,
    serve,
)

Found = Iterator[tuple[str, dict[str, list[bytes]]]]
SID = bytes.fromhex("010500000000000515000000010000000200000003000000") + (515).to_bytes(
    4, "little"
)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("alice", "alice"),
        ("CLIENT1$", "CLIENT1\\24"),
        ("*)(uid=*", "\\2a\\29\\28uid\\3d\\2a"),
        ("a\\b\0", "a\\5cb\\00"),
        ("ä", "\\c3\\a4"),
    ],
)
def test_nothing_gets_out_of_a_filter(value: str, escaped: str) -> None:
    assert escape(value) == escaped


def test_filters() -> None:
    assert account_filter(["a", "b)"]) == (
        "(&(objectClass=user)(|(sAMAccountName=a)(sAMAccountName=b\\29)))"
    )
    assert group_filter(["DA Users", "CN=X,DC=y"]) == (
        "(&(objectCategory=group)(|(sAMAccountName=DA\\20Users)"
        "(distinguishedName=CN\\3dX\\2cDC\\3dy)))"
    )
    assert computer_filter([{"dn": "CN=X", "sid": "S-1-5-21-1-515"}]) == (
        "(&(objectCategory=computer)(|(memberOf=CN\\3dX)(primaryGroupID=515)))"
    )
    # One whose SID the gateway may not read has no members by it, and ends nothing.
    assert computer_filter([{"dn": "CN=X", "sid": ""}]) == (
        "(&(objectCategory=computer)(|(memberOf=CN\\3dX)))"
    )


class Fake:
    """Answers by the kind of filter, and remembers the questions."""

    def __init__(self, values: dict[str, list[bytes]]) -> None:
        self.values = values
        self.asked: list[str] = []

    def search(self, text: str, _attributes: tuple[str, ...]) -> Found:
        self.asked.append(text)
        if "objectCategory=group" in text and "1941" not in text:
            yield "CN=G,DC=x", {"sAMAccountName": [b"G"], "objectSid": [SID]}
        elif "1941" in text:
            nested = {"sAMAccountName": [b"N"], "memberOf": [b"CN=G,DC=x"], "objectSid": [SID]}
            yield "CN=N,DC=x", nested
        else:
            yield "CN=alice,DC=x", self.values


def question(*accounts: str, computers_of: tuple[str, ...] = ()) -> dict[str, object]:
    return {"accounts": list(accounts), "groups": ["g"], "computers_of": list(computers_of)}


def test_one_question_for_all_accounts_and_all_groups_together() -> None:
    fake = Fake(
        {
            "sAMAccountName": [b"alice"],
            "userAccountControl": [b"512"],
            "accountExpires": [b"9223372036854775807"],
            "memberOf;range=0-1499": [b"CN=N,DC=x"],
            "userWorkstations": [b"A,B"],
        }
    )
    said = ask(question(*(f"u{i}" for i in range(300))), fake.search)
    assert len(fake.asked) == 3
    [account] = said["accounts"]
    assert account["control"] == 512
    assert account["groups"] == ["CN=N,DC=x"]
    assert account["workstations"] == ["A", "B"]
    assert [group["sid"] for group in said["groups"]] == ["S-1-5-21-1-2-3-515"] * 2


def test_the_computers_of_nested_groups_are_asked_for_too() -> None:
    fake = Fake({"sAMAccountName": [b"CLIENT1$"]})
    ask(question(computers_of=("G",)), fake.search)
    assert "memberOf=CN\\3dG\\2cDC\\3dx" in fake.asked[-1]
    assert "memberOf=CN\\3dN\\2cDC\\3dx" in fake.asked[-1]


@pytest.mark.parametrize("text", [b"", b"junk", b"1" * 40, b"-", b"\xff"])
def test_a_number_that_is_none_is_nought(text: bytes) -> None:
    said = ask(question("a"), Fake({"userAccountControl": [text]}).search)
    assert said["accounts"][0]["control"] == 0


@pytest.mark.parametrize("sid", [b"", b"\x01", b"\x01\xff" + bytes(6), SID + b"\0"])
def test_a_sid_that_is_none_is_nothing(sid: bytes) -> None:
    said = ask(question("a"), Fake({"objectSid": [sid]}).search)
    assert said["accounts"][0]["sid"] == ""


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(DirectoryError) as caught:
        ask(question("a"), Fake({"memberOf": [b"CN=x"] * (MAX_VALUES + 1)}).search)
    assert caught.value.problem == "directory-answer-refused"


def test_a_line_in_a_line_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(connection: Connection, question: object) -> dict[str, object]:
        return {"question": question}

    monkeypatch.setattr(module, "answer", answered)
    out = io.StringIO()
    serve(io.StringIO('{"servers": []}\n{"a": 1}\n{"a": 2}\n'), out)
    assert [json.loads(line)["question"]["a"] for line in out.getvalue().splitlines()] == [1, 2]


def test_a_keytab_that_is_not_there_is_said(tmp_path: object) -> None:
    pytest.importorskip("ldap")
    settings = {"servers": ["dc"], "principal": "X$@NOWHERE", "keytab": f"{tmp_path}/none"}
    said = answer(Connection(settings), question("a"))
    assert said["problem"] == "directory-credentials-refused"
