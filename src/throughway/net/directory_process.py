"""The process that asks Active Directory: one question a line in, one answer a line out.

libldap and libkrb5 block, and take their credentials from the environment, which is one for a
whole process: hence one of its own, whose end is also the time limit that always works. It
binds by SASL GSSAPI and demands that all be sealed ([MS-ADTS] 5.1.1.1). Names come from the
wire into filters through :func:`escape` alone; what is answered is bounded here.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from throughway.net.privileges import end_with_parent

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN: through nested groups ([MS-ADTS] 3.1.1.3.4.4.3)."""
CCACHE = "MEMORY:throughway-directory"
PAGE = 500
"""Entries of one page; Active Directory gives no more than 1000."""
MAX_ENTRIES = 50_000
"""Of one question: more computers than one gateway serves; a server that gives more is wrong."""
MAX_VALUES = 2000
"""Of one attribute: nobody logs on with more than 1015 groups ([MS-PAC] 4.1.2.2)."""
NAMES_PER_FILTER = 400
LEAST_STRENGTH = 56
"""The SSF that says "encrypted"; libsasl says 256 of AES."""
NETWORK_TIMEOUT, ANSWER_TIMEOUT = 3.0, 8.0
"""Seconds: to connect, and for one page."""

ACCOUNT_ATTRIBUTES = (
    *("sAMAccountName", "objectSid", "userAccountControl", "msDS-User-Account-Control-Computed"),
    *("accountExpires", "memberOf", "primaryGroupID", "dNSHostName", "userWorkstations"),
)
GROUP_ATTRIBUTES = ("sAMAccountName", "objectSid", "memberOf")

Entry = dict[str, Any]
Search = Callable[[str, tuple[str, ...]], Iterator[tuple[str, dict[str, list[bytes]]]]]
"""Takes a filter and attributes; yields DN and values of every entry."""


class DirectoryError(Exception):
    """A question has no answer; ``problem`` is the catalogue's code."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = problem


def escape(value: str) -> str:
    """Make a value harmless inside a filter (RFC 4515 section 3): all but letters and digits."""
    return "".join(
        c if c.isascii() and c.isalnum() else "".join(f"\\{byte:02x}" for byte in c.encode())
        for c in value
    )


def any_of(terms: Iterable[str]) -> str:
    """Join filters by "or"."""
    return f"(|{''.join(terms)})"


def group_filter(words: Iterable[str]) -> str:
    """Return what finds the groups that a configuration names."""
    terms = (
        f"({'distinguishedName' if '=' in word else 'sAMAccountName'}={escape(word)})"
        for word in words
    )
    return f"(&(objectCategory=group){any_of(terms)})"


def nested_filter(dns: Iterable[str]) -> str:
    """Return what finds every group inside the given ones, however deep."""
    terms = (f"(memberOf:{IN_CHAIN}:={escape(dn)})" for dn in dns)
    return f"(&(objectCategory=group){any_of(terms)})"


def account_filter(names: Iterable[str]) -> str:
    """Return what finds computers and users by name."""
    # Computers are users in the directory's classes; a group of the same name is neither.
    return f"(&(objectClass=user){any_of(f'(sAMAccountName={escape(n)})' for n in names)})"


def computer_filter(groups: Iterable[Entry]) -> str:
    """Return what finds the computers that are direct members of groups."""
    terms = [f"(memberOf={escape(group['dn'])})" for group in groups]
    rids = (group["sid"].rpartition("-")[2] for group in groups)  # which not everybody may read
    terms += [f"(primaryGroupID={rid})" for rid in rids if rid.isdecimal()]
    return f"(&(objectCategory=computer){any_of(terms)})"


def ask(question: dict[str, Any], search: Search) -> dict[str, Any]:
    """Answer one question: groups with all that are nested in them, then the accounts."""
    groups: list[Entry] = []
    if question["groups"]:
        groups = [_group(*e) for e in search(group_filter(question["groups"]), GROUP_ATTRIBUTES)]
    roots = list(groups)
    if roots:
        dns = (group["dn"] for group in roots)
        groups += [_group(*e) for e in search(nested_filter(dns), GROUP_ATTRIBUTES)]
    names, found = list(question["accounts"]), {}
    filters = [
        account_filter(names[i : i + NAMES_PER_FILTER])
        for i in range(0, len(names), NAMES_PER_FILTER)
    ]
    if wanted := _within(question["computers_of"], groups):
        filters.append(computer_filter(wanted))
    for text in filters:
        for entry in search(text, ACCOUNT_ATTRIBUTES):
            account = _account(*entry)
            found[account["dn"]] = account
    return {"groups": groups, "accounts": list(found.values())}


def _within(words: list[str], groups: list[Entry]) -> list[Entry]:
    """Return the groups that ``words`` name, and those nested in them."""
    keys = {word.casefold() for word in words}
    inside = {g["dn"] for g in groups if {g["dn"].casefold(), g["name"].casefold()} & keys}
    size = -1
    while size != len(inside):
        size = len(inside)
        inside |= {g["dn"] for g in groups if inside & set(g["groups"])}
    return [group for group in groups if group["dn"] in inside]


def _text(values: dict[str, list[bytes]], key: str) -> str:
    return (values.get(key) or [b""])[0].decode(errors="replace")


def _number(values: dict[str, list[bytes]], key: str) -> int:
    text = _text(values, key)
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 21 else 0


def _texts(values: dict[str, list[bytes]], key: str) -> list[str]:
    # Active Directory cuts long lists and says so in the attribute's name: memberOf;range=0-1499.
    found = next((v for k, v in values.items() if k.partition(";")[0] == key), [])
    if len(found) > MAX_VALUES:
        raise DirectoryError("directory-answer-refused", f"{len(found)} values of {key}")
    return [value.decode(errors="replace") for value in found]


def _sid(values: dict[str, list[bytes]]) -> str:
    """Return an objectSid in words ([MS-DTYP] 2.4.2)."""
    data = (values.get("objectSid") or [b""])[0]
    if len(data) < 8 or len(data) != 8 + 4 * data[1]:
        return ""
    parts = [int.from_bytes(data[i : i + 4], "little") for i in range(8, len(data), 4)]
    return "-".join(map(str, ("S", data[0], int.from_bytes(data[2:8], "big"), *parts)))


def _group(dn: str, values: dict[str, list[bytes]]) -> Entry:
    return {
        "dn": dn,
        "name": _text(values, "sAMAccountName"),
        "sid": _sid(values),
        "groups": _texts(values, "memberOf"),
    }


def _account(dn: str, values: dict[str, list[bytes]]) -> Entry:
    return _group(dn, values) | {
        "control": _number(values, "userAccountControl"),
        "computed": _number(values, "msDS-User-Account-Control-Computed"),
        "expires": _number(values, "accountExpires"),
        "primary_group": _number(values, "primaryGroupID"),
        "host_name": _text(values, "dNSHostName"),
        "workstations": [w for w in _text(values, "userWorkstations").split(",") if w],
    }


class Connection:
    """A bound connection to one domain controller, made when first needed."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._ldap: Any = None
        self.server = ""
        self._base = ""

    def search(
        self, text: str, attributes: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, list[bytes]]]]:
        """Search below the base, page by page."""
        import ldap
        from ldap.controls import SimplePagedResultsControl

        control, count = SimplePagedResultsControl(True, size=PAGE, cookie=b""), 0
        while True:
            number = self._ldap.search_ext(
                self._base, ldap.SCOPE_SUBTREE, text, list(attributes),
                serverctrls=[control], timeout=ANSWER_TIMEOUT,
            )  # fmt: skip
            _, entries, _, controls = self._ldap.result3(number, timeout=ANSWER_TIMEOUT)
            count += len(entries)
            if count > MAX_ENTRIES:
                raise DirectoryError("directory-answer-refused", f"more than {MAX_ENTRIES} entries")
            yield from ((dn, values) for dn, values in entries if dn)  # not: referrals
            cookies = [c.cookie for c in controls if c.controlType == control.controlType]
            if not cookies or not cookies[0]:
                return
            control.cookie = cookies[0]

    def ensure(self) -> None:
        """Be bound to the first domain controller that will have us."""
        if self._ldap is not None:
            return
        _get_ticket(self._settings)
        reasons = []
        for server in self._servers():
            try:
                self._bind(server)
            except DirectoryError as error:
                reasons.append(f"{server}: {error}")
            else:
                self.server = server
                return
        raise DirectoryError("directory-unreachable", "; ".join(reasons) or "no server is known")

    def drop(self) -> None:
        """Begin anew next time."""
        connection, self._ldap = self._ldap, None
        if connection is not None:
            connection.unbind_ext()

    def _servers(self) -> list[str]:
        if self._settings["servers"]:
            return list(self._settings["servers"])
        import dns.exception
        import dns.resolver

        name = f"_ldap._tcp.dc._msdcs.{self._settings['domain']}"
        try:
            answer = dns.resolver.resolve(name, "SRV", lifetime=NETWORK_TIMEOUT)
        except dns.exception.DNSException as error:
            raise DirectoryError("directory-unreachable", f"SRV of {name}: {error}") from None
        # RFC 2782 would have the weights drawn by lot; the heaviest first is a choice as good.
        records = sorted(answer, key=lambda r: (r.priority, -r.weight, str(r.target)))
        return [str(record.target).rstrip(".") for record in records[:8]]

    def _bind(self, server: str) -> None:
        import ldap
        import ldap.sasl

        connection = ldap.initialize(f"ldap://{server}", bytes_strictness="silent")
        connection.protocol_version = 3
        for option, value in (
            (ldap.OPT_NETWORK_TIMEOUT, NETWORK_TIMEOUT),
            (ldap.OPT_TIMEOUT, ANSWER_TIMEOUT),
            (ldap.OPT_REFERRALS, 0),
            # Else libldap would take the name that the reverse DNS gives for the service's.
            (ldap.OPT_X_SASL_NOCANON, 1),
            (ldap.OPT_X_SASL_SSF_MIN, LEAST_STRENGTH),
        ):
            connection.set_option(option, value)
        try:
            connection.sasl_interactive_bind_s("", ldap.sasl.gssapi(""))
            if connection.get_option(ldap.OPT_X_SASL_SSF) < LEAST_STRENGTH:
                raise DirectoryError("directory-answer-refused", "the connection is not sealed")
            base = self._settings["base"] or _root(connection)
        except (ldap.LDAPError, DirectoryError) as error:
            connection.unbind_ext()
            raise DirectoryError("directory-unreachable", words(error)) from None
        self._ldap, self._base = connection, base


def _root(connection: Any) -> str:  # noqa: ANN401 - of an untyped package
    import ldap

    found = connection.search_ext_s("", ldap.SCOPE_BASE, attrlist=["defaultNamingContext"])
    return _text(found[0][1], "defaultNamingContext") if found else ""


def words(error: Exception) -> str:
    """Return what an exception of python-ldap says, in one line."""
    if error.args and isinstance(error.args[0], dict):
        said = error.args[0]
        parts = (str(said.get("desc", "")), str(said.get("info", "")))
        return ": ".join(part for part in parts if part)[:300]
    return str(error)[:300] or type(error).__name__


def _get_ticket(settings: dict[str, Any]) -> None:
    """Have a ticket of the gateway's own account in this process's memory."""
    from throughway.model.errors import ThroughwayError
    from throughway.net.kerberos import get_ticket_by_keytab

    try:
        get_ticket_by_keytab(settings["principal"], settings["keytab"], CCACHE)
    except ThroughwayError as error:
        problem = getattr(error, "problem", "")
        if problem not in ("kerberos-unreachable", "kerberos-clock-skew"):
            problem = "directory-credentials-refused"
        code = "directory-unreachable" if problem == "kerberos-unreachable" else problem
        raise DirectoryError(code, str(error)) from None


def answer(connection: Connection, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question; a connection that has gone stale is made anew, once."""
    import ldap

    for last in (False, True):
        try:
            fresh = connection.server == ""
            connection.ensure()
            said = ask(question, connection.search)
            return said | {"server": connection.server}
        except DirectoryError as error:
            connection.drop()
            return {"problem": error.problem, "reason": str(error)}
        except ldap.LDAPError as error:
            connection.drop()
            if last or fresh:
                return {"problem": "directory-unreachable", "reason": words(error)}
    raise AssertionError


def serve(questions: TextIO, answers: TextIO) -> None:
    """Read the settings from the first line, then answer one line after the other."""
    connection = Connection(json.loads(questions.readline()))
    for line in questions:
        said = answer(connection, json.loads(line))
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    os.environ["KRB5CCNAME"] = CCACHE
    end_with_parent()
    serve(sys.stdin, sys.stdout)
