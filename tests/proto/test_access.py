"""Who may come in, and how far: by groups, nested and primary, and by the state of accounts."""

from dataclasses import replace

import pytest

from throughway.model.config import AccessRule
from throughway.proto.access import (
    DISABLED,
    EXPIRED,
    LOCKED,
    NO_GROUP,
    UNKNOWN,
    WORKSTATION,
    Account,
    Answer,
    Group,
    Withheld,
    group_words,
    judge_computer,
    judge_user,
    missing_groups,
)

NOW = 1_800_000_000.0
SOON = int((NOW + 1 + 11_644_473_600) * 10_000_000)
DOMAIN = "S-1-5-21-1-2-3"


def dn(name: str) -> str:
    return f"CN={name},CN=Users,DC=corp,DC=example,DC=com"


def group(name: str, *within: str, rid: int = 0) -> Group:
    dns = frozenset(dn(word).casefold() for word in within)
    return Group(name=name, dn=dn(name), sid=f"{DOMAIN}-{rid}" if rid else "", groups=dns)


def account(name: str, *within: str, control: int = 0x200, primary: int = 513) -> Account:
    dns = frozenset(dn(word).casefold() for word in within)
    sid = f"{DOMAIN}-1100"
    return Account(name=name, sid=sid, control=control, groups=dns, primary_group=primary)


ALICE = account("alice", "Sales")
CLIENT1 = account("CLIENT1$", "Laptops", control=0x1000, primary=515)
GROUPS = (
    group("Computers"),
    group("Laptops", "Computers"),
    group("Users"),
    # A circle, which Active Directory allows.
    group("Staff", "Users", "Sales"),
    group("Sales", "Staff"),
    group("Domain Users", rid=513),
    group("Domain Computers", rid=515),
)
RULES = (AccessRule(computers=("computers",), users=("USERS",), prefixes=("2001:db8:1::/64",)),)


def answer(*accounts: Account) -> Answer:
    return Answer(accounts={a.name.casefold(): a for a in accounts}, groups=GROUPS)


def user(
    who: Account = ALICE, computer: Account = CLIENT1, rules: tuple[AccessRule, ...] = RULES
) -> tuple[str, ...] | Withheld:
    return judge_user(answer(who, computer), who.name, computer.name, rules, NOW)


def problem(verdict: object) -> str:
    assert isinstance(verdict, Withheld)
    return verdict.problem


def test_nested_groups_count() -> None:
    assert user() == ("2001:db8:1::/64",)
    assert judge_computer(answer(CLIENT1), "client1$", RULES, NOW) is None


def test_a_primary_group_counts_which_memberof_does_not_name() -> None:
    rules = (AccessRule(computers=("Domain Computers",), users=("Domain Users",)),)
    assert user(rules=rules) == ("",)
    elsewhere = replace(ALICE, sid="S-1-5-21-9-9-9-1100")
    assert problem(user(elsewhere, rules=rules)) == NO_GROUP


def test_a_group_may_be_named_by_its_dn() -> None:
    rules = (AccessRule(computers=(dn("laptops").upper(),), users=(dn("Staff"),)),)
    assert user(rules=rules) == ("",)


def test_prefixes_of_all_rules_that_fit_count_once() -> None:
    other = AccessRule(users=("Staff",), prefixes=("2001:db8:2::/64", "2001:db8:1::/64"))
    never = AccessRule(users=("Nobody",), prefixes=("2001:db8:3::/64",))
    assert user(rules=(*RULES, other, never)) == ("2001:db8:1::/64", "2001:db8:2::/64")


def test_a_rule_binds_users_to_computers() -> None:
    servers = replace(CLIENT1, groups=frozenset())
    rules = (*RULES, AccessRule(computers=("Domain Computers",), users=("Domain Admins",)))
    assert judge_computer(answer(servers), "CLIENT1$", rules, NOW) is None
    assert problem(user(computer=servers, rules=rules)) == NO_GROUP


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"control": 0x202}, DISABLED),
        ({"expires": SOON - 20_000_000}, EXPIRED),
        ({"computed": 0x10}, LOCKED),
        ({"groups": frozenset()}, NO_GROUP),
        ({"workstations": ("OTHER", "ANOTHER")}, WORKSTATION),
        ({"control": 0x1000}, UNKNOWN),
    ],
)
def test_what_keeps_a_user_out(change: dict[str, object], expected: str) -> None:
    verdict = user(replace(ALICE, **change))  # type: ignore[arg-type]
    assert problem(verdict) == expected
    assert isinstance(verdict, Withheld)
    assert "alice" in verdict.reason


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"control": 0x1002}, DISABLED),
        ({"expires": SOON - 20_000_000}, EXPIRED),
        ({"computed": 0x10}, LOCKED),
        ({"groups": frozenset()}, NO_GROUP),
        ({"control": 0x200}, UNKNOWN),
    ],
)
def test_what_keeps_a_computer_out(change: dict[str, object], expected: str) -> None:
    changed = replace(CLIENT1, **change)  # type: ignore[arg-type]
    assert problem(judge_computer(answer(changed), "CLIENT1$", RULES, NOW)) == expected


def test_a_user_goes_with_his_computer() -> None:
    assert problem(user(computer=replace(CLIENT1, control=0x1002))) == DISABLED


@pytest.mark.parametrize("expires", [0, 0x7FFF_FFFF_FFFF_FFFF, SOON])
def test_who_expires_later_or_never_comes_in(expires: int) -> None:
    assert user(replace(ALICE, expires=expires)) == ("2001:db8:1::/64",)


def test_the_named_computer_is_allowed() -> None:
    assert user(replace(ALICE, workstations=("other", "client1"))) == ("2001:db8:1::/64",)


def test_who_is_not_there_is_unknown() -> None:
    assert problem(judge_computer(answer(), "CLIENT1$", RULES, NOW)) == UNKNOWN


def test_without_rules_nobody_comes_in() -> None:
    assert problem(user(rules=())) == NO_GROUP


def test_groups_that_are_not_there_are_told() -> None:
    rules = (*RULES, AccessRule(users=("Gone", "Users")))
    assert group_words(rules) == ("computers", "USERS", "Gone", "Users")
    assert missing_groups(answer(), rules) == ("Gone",)
