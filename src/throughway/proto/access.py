"""Whom the directory lets in, and how far: judged from what Active Directory says of them.

Pure: what was looked up, the rules of the gateway and the time come as arguments. Driven by
:mod:`throughway.gateway.access`. [MS-ADTS] 2.2.16 (userAccountControl), 3.1.1.4.5.17
(msDS-User-Account-Control-Computed); [MS-ADA1] 2.9 (accountExpires).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from throughway.model.config import AccessRule

ACCOUNT_DISABLED = 0x2
LOCKED_OUT = 0x10
"""Kept by msDS-User-Account-Control-Computed alone, which knows how long a lockout lasts."""
WORKSTATION_TRUST = 0x1000
SERVER_TRUST = 0x2000
"""A domain controller's account."""

NEVER = (0, 0x7FFF_FFFF_FFFF_FFFF)
"""Values of accountExpires that mean no end."""
_EPOCH = 11_644_473_600
"""Seconds from 1601-01-01, where FILETIME begins, to 1970-01-01."""
_TICKS = 10_000_000
"""FILETIME's, in a second."""

UNKNOWN = "access-account-unknown"
DISABLED = "access-account-disabled"
EXPIRED = "access-account-expired"
LOCKED = "access-account-locked"
NO_GROUP = "access-group-missing"
WORKSTATION = "access-computer-not-allowed"
REALM = "access-realm-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A computer or a user of the directory."""

    name: str
    """sAMAccountName."""
    dn: str = ""
    sid: str = ""
    control: int = 0
    computed: int = 0
    expires: int = 0
    """FILETIME."""
    groups: frozenset[str] = frozenset()
    """DNs, folded, of the groups it is a direct member of."""
    primary_group: int = 0
    """RID; memberOf does not name that group."""
    host_name: str = ""
    """dNSHostName, of computers."""
    workstations: tuple[str, ...] = ()
    """userWorkstations: the only computers on which the user may log on; empty: all."""

    @property
    def computer(self) -> bool:
        """Whether it is a computer's."""
        return bool(self.control & (WORKSTATION_TRUST | SERVER_TRUST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of the directory."""

    name: str
    dn: str
    sid: str = ""
    groups: frozenset[str] = frozenset()
    """DNs, folded, of the groups it is a direct member of."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why an account may not come in."""

    problem: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the directory said, at one time."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    """By folded sAMAccountName."""
    groups: tuple[Group, ...] = ()
    server: str = ""
    """The domain controller that said it."""

    def account(self, name: str) -> Account | None:
        """Return the account of that sAMAccountName."""
        return self.accounts.get(name.casefold())


class Memberships:
    """Who is in which group, nested groups and primary groups included."""

    def __init__(self, groups: Iterable[Group]) -> None:
        groups = tuple(groups)
        self._dns = {g.dn.casefold(): g for g in groups}
        self._names = {g.name.casefold(): g for g in groups}
        self._sids = {g.sid: g.dn.casefold() for g in groups if g.sid}

    def find(self, word: str) -> Group | None:
        """Return the group that a configuration names, by sAMAccountName or DN."""
        key = word.casefold()
        return self._dns.get(key) or self._names.get(key)

    def groups_of(self, account: Account) -> frozenset[str]:
        """Return the DNs, folded, of all known groups that an account is in."""
        ahead = list(account.groups)
        domain, _, _ = account.sid.rpartition("-")
        primary = self._sids.get(f"{domain}-{account.primary_group}")
        if primary is not None:
            ahead.append(primary)
        found: set[str] = set()
        while ahead:
            dn = ahead.pop()
            if dn in found or dn not in self._dns:
                continue
            found.add(dn)
            ahead += self._dns[dn].groups
        return frozenset(found)

    def holds(self, word: str, member_of: frozenset[str]) -> bool:
        """Say whether what :meth:`groups_of` has returned includes the group of that name."""
        group = self.find(word)
        return group is not None and group.dn.casefold() in member_of


def group_words(rules: Iterable[AccessRule]) -> tuple[str, ...]:
    """Return every group that rules name, once."""
    words = (w for rule in rules for w in (*rule.computers, *rule.users))
    return tuple(dict.fromkeys(words))


def judge_account(account: Account | None, name: str, now: float) -> Withheld | None:
    """Say why an account is good for nothing at all, or None."""
    if account is None:
        return Withheld(UNKNOWN, f"the directory has no account {name}")
    if account.control & ACCOUNT_DISABLED:
        return Withheld(DISABLED, f"{name} is disabled in the directory")
    if account.expires not in NEVER and account.expires / _TICKS - _EPOCH <= now:
        return Withheld(EXPIRED, f"{name} has expired in the directory")
    if account.computed & LOCKED_OUT:
        return Withheld(LOCKED, f"{name} is locked out in the directory")
    return None


def judge_computer(
    answer: Answer, name: str, rules: Iterable[AccessRule], now: float
) -> Withheld | None:
    """Say why a computer may not have even the infrastructure tunnel, or None."""
    account = answer.account(name)
    if withheld := judge_account(account, name, now):
        return withheld
    assert account is not None
    if not account.computer:
        return Withheld(UNKNOWN, f"{name} is no computer's account in the directory")
    members = Memberships(answer.groups)
    mine = members.groups_of(account)
    if any(_matches(rule.computers, members, mine) for rule in rules):
        return None
    return Withheld(NO_GROUP, f"{name} is in no group of computers that may use the gateway")


def judge_user(
    answer: Answer, name: str, computer: str, rules: Iterable[AccessRule], now: float
) -> tuple[str, ...] | Withheld:
    """Return the prefixes that a user may reach from a computer, or why none.

    A rule without prefixes leads to everything: the answer holds "" for that.
    """
    account, from_ = answer.account(name), answer.account(computer)
    withheld = judge_account(account, name, now) or judge_account(from_, computer, now)
    if withheld is not None:
        return withheld
    assert account is not None
    assert from_ is not None
    if account.computer:
        return Withheld(UNKNOWN, f"{name} is a computer's account, no user's")
    allowed = {word.casefold() for word in account.workstations}
    if allowed and computer.rstrip("$").casefold() not in allowed:
        return Withheld(WORKSTATION, f"{name} may not log on at {computer}, says the directory")
    members = Memberships(answer.groups)
    mine, its = members.groups_of(account), members.groups_of(from_)
    prefixes: list[str] = []
    for rule in rules:
        if _matches(rule.computers, members, its) and _matches(rule.users, members, mine):
            prefixes += rule.prefixes or ("",)
    if prefixes:
        return tuple(dict.fromkeys(prefixes))
    return Withheld(NO_GROUP, f"{name} is in no group of users that may use the gateway here")


def missing_groups(answer: Answer, rules: Iterable[AccessRule]) -> tuple[str, ...]:
    """Return the groups that rules name and the directory does not have."""
    members = Memberships(answer.groups)
    return tuple(word for word in group_words(rules) if members.find(word) is None)


def _matches(words: tuple[str, ...], members: Memberships, mine: frozenset[str]) -> bool:
    """No group named means every account."""
    return not words or any(members.holds(word, mine) for word in words)
