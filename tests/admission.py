"""Who may come in and who may not, with all that is wrong with them: one table out of all faults.

The rows are those that the tests run, each with what they demand; ``python -m tests.admission``
writes them to docs/operate/admission.md.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import (
    adc_faults,
    directory_world,
    health_faults,
    ipsec_attacks,
    ipsec_faults,
    revocation_faults,
    smart_cards,
)
from tests.ipsec_world import CLIENT
from tests.net.iphttps_world import CLIENT_FAULTS, ONLY_WITH_LISTS, RESUMED, told_to_client
from tests.null_suites import OFFERS
from tests.one_time_codes import CODE_FAULTS
from throughway.gateway.health import MISSING
from throughway.model.audit import WINDOWS_NUMBERS, AuditEvent
from throughway.model.revocation import Revocation
from throughway.net.revocation import PROBLEMS

PAGE = Path(__file__).parents[1] / "docs" / "operate" / "admission.md"
ESTABLISHED, OPENED = AuditEvent.MAIN_MODE_ESTABLISHED, AuditEvent.IPHTTPS_OPENED
NAMES = {
    "untrusted": "untrusted root",
    "no server authentication": "wrong usage",
    "old list": "list stale",
    "no list": "list of another authority",
    "unreachable": "list unreachable",
    "silent": "distribution point silent",
    "wrong signer": "list of another authority",
    "no point": "no distribution point",
    "": "good",
}
"""One name for what is called otherwise elsewhere."""
HEALTH = {
    "nothing": "nothing stated",
    "bad": "a check fails",
    "good": "good",
    "expired": "stated too long ago",
}
OF_LISTS = {"expired": "list stale", "no list": "list unusable"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault under one policy, and all that follows."""

    fault: str
    peer: str
    """Whose fault it is: ``client``, ``gateway`` or ``user``."""
    policy: str
    client: str = ""
    """The problem that the client names; "" on both ends: it is admitted."""
    gateway: str = ""
    """The problem that the gateway names."""
    event: AuditEvent | None = None
    """What the gateway's audit records."""

    @property
    def admitted(self) -> bool:
        return not (self.client or self.gateway)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Rows of one kind, all run by one test."""

    title: str
    test: str
    words: str
    rows: tuple[Row, ...]


def _tunnel(
    fault: str, peer: str, policy: Revocation, problems: tuple[str, str], event: AuditEvent
) -> Row:
    client, gateway = problems
    return Row(fault=fault, peer=peer, policy=policy, client=client, gateway=gateway, event=event)


def tunnel_clients() -> Iterator[Row]:
    for name, fault in ipsec_faults.FAULTS.items():
        for policy in Revocation:
            if policy in fault.admitted:
                yield _tunnel(name, "client", policy, ("", ""), ESTABLISHED)
            else:
                problems = fault.client, fault.gateway
                yield _tunnel(name, "client", policy, problems, fault.event)


def tunnel_gateways() -> Iterator[Row]:
    for name, fault in ipsec_faults.GATEWAY_FAULTS.items():
        for policy in Revocation:
            if policy in fault.admitted:
                yield _tunnel(name, "gateway", policy, ("", ""), ESTABLISHED)
            else:
                problems = fault.client, ipsec_faults.UNSPECIFIED
                yield _tunnel(name, "gateway", policy, problems, ipsec_faults.REFUSED_BY_CLIENT)


def attacks() -> Iterator[Row]:
    for name, attack in ipsec_attacks.ATTACKS.items():
        yield Row(
            fault=name,
            peer="client",
            policy=Revocation.WEAK,
            client=attack.client,
            gateway=attack.gateway,
            event=attack.event if attack.gateway else ESTABLISHED,
        )


def servers() -> Iterator[Row]:
    for name, shown in revocation_faults.CERTIFICATES.items():
        for policy in Revocation:
            fault = NAMES.get(name, name)
            yield Row(fault=fault, peer="gateway", policy=policy, client=shown.problem)


def revoked_servers() -> Iterator[Row]:
    for name, row in revocation_faults.ROWS.items():
        for policy in Revocation:
            admitted = policy is Revocation.NONE or (policy is Revocation.WEAK and row.weak)
            problem = "" if row.fault is None or admitted else PROBLEMS[row.fault][0]
            fault = OF_LISTS.get(name) or NAMES.get(name, name)
            yield Row(fault=fault, peer="gateway", policy=policy, client=problem)


def iphttps_clients() -> Iterator[Row]:
    for name in ("", *CLIENT_FAULTS):
        for policy in (Revocation.NONE, Revocation.STRONG):
            fault = NAMES.get(name, name)
            if not name or (policy is Revocation.NONE and name in ONLY_WITH_LISTS):
                yield Row(fault=fault, peer="client", policy=policy, event=OPENED)
                continue
            for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
                told = told_to_client(name, version)
                if version is ssl.TLSVersion.TLSv1_2:
                    if told == told_to_client(name):
                        continue
                    fault += ", TLS 1.2"
                yield Row(
                    fault=fault,
                    peer="client",
                    policy=policy,
                    client=told,
                    gateway=CLIENT_FAULTS[name],
                    event=AuditEvent.IPHTTPS_REFUSED,
                )


def devices() -> Iterator[Row]:
    for mode, outcomes in adc_faults.OUTCOMES.items():
        for name in adc_faults.CLIENTS:
            outcome = outcomes[name] if name else adc_faults.ADMITTED
            admitted = outcome == adc_faults.ADMITTED
            event = AuditEvent.IPHTTPS_REFUSED if outcome[1] else None
            yield Row(
                fault=NAMES.get(name, name),
                peer="client",
                policy=mode,
                client="" if admitted else outcome[0],
                gateway=outcome[1],
                event=OPENED if admitted else event,
            )


def headers() -> Iterator[Row]:
    for name, problem in adc_faults.said_by_devices().items():
        yield Row(
            fault=name,
            peer="device",
            policy="http",
            gateway=problem,
            event=AuditEvent.IPHTTPS_REFUSED if problem else OPENED,
        )


def null_suites() -> Iterator[Row]:
    for name, offer in OFFERS.items():
        for policy, suite in (("true", offer.allowed), ("false", offer.otherwise)):
            # Of a handshake that fails only the client knows.
            said = "" if suite else "iphttps-tls-handshake-failed"
            fault = f"{name}: {suite}" if suite else name
            yield Row(fault=fault, peer="client", policy=policy, client=said)


def users() -> Iterator[Row]:
    yield Row(fault="good", peer="user", policy="groups", event=AuditEvent.USER_LOGON)
    for fault in directory_world.USER_FAULTS:
        yield Row(
            fault=fault.name,
            peer="user",
            policy="groups",
            client="ipsec-user-refused",
            gateway=fault.problem,
            event=AuditEvent.EXTENDED_MODE_FAILED,
        )


def tickets() -> Iterator[Row]:
    for name, words in ipsec_attacks.TOKENS.items():
        problem = ipsec_attacks.USER_REFUSED if words else ""
        yield Row(
            fault=name,
            peer="user",
            policy="any",
            client=problem,
            gateway=problem,
            event=AuditEvent.EXTENDED_MODE_FAILED if problem else AuditEvent.USER_LOGON,
        )


def computers() -> Iterator[Row]:
    for fault in directory_world.COMPUTER_FAULTS:
        yield Row(
            fault=fault.name,
            peer="client",
            policy="groups",
            client=ipsec_faults.UNSPECIFIED,
            gateway=fault.problem,
            event=AuditEvent.MAIN_MODE_FAILED,
        )


def cut() -> Iterator[Row]:
    for who, faults, client in (
        ("user", directory_world.CUT_USERS, "ipsec-user-refused"),
        ("client", directory_world.CUT_COMPUTERS, ipsec_faults.UNSPECIFIED),
    ):
        for fault in faults:
            yield Row(
                fault=f"{fault.name} while connected",
                peer=who,
                policy="groups",
                client=client,
                gateway=fault.problem,
                event=AuditEvent.MAIN_MODE_ENDED,
            )


def _proofs(proofs: dict[str, directory_world.Proof], policy: str) -> Iterator[Row]:
    for name, proof in proofs.items():
        refused = AuditEvent.EXTENDED_MODE_FAILED if proof.at_gateway else None
        yield Row(
            fault=name,
            peer="client",
            policy=policy,
            client=proof.at_client,
            gateway=proof.at_gateway,
            event=refused if proof.at_client else ESTABLISHED,
        )


def by_ticket() -> Iterator[Row]:
    yield from _proofs(directory_world.TICKETS, "Kerberos")


def by_radius() -> Iterator[Row]:
    yield from _proofs(directory_world.BY_RADIUS, "RADIUS")
    yield Row(
        fault="server silent",
        peer="client",
        policy="RADIUS",
        client=directory_world.RADIUS_SILENT_AT_CLIENT,
        gateway=directory_world.RADIUS_SILENT,
        event=AuditEvent.EXTENDED_MODE_FAILED,
    )


def cards() -> Iterator[Row]:
    for fault in smart_cards.FAULTS:
        yield Row(
            fault=fault.name.replace("-", " "),
            peer="user",
            policy="smart-card",
            client=fault.at_client,
            gateway=fault.at_gateway,
            event=AuditEvent.EXTENDED_MODE_FAILED,
        )


def shown_by_users() -> Iterator[Row]:
    for name, case in smart_cards.CASES:
        yield Row(
            fault=name,
            peer="user",
            policy=case.policy,
            client=case.at_client,
            gateway=case.at_gateway,
            event=AuditEvent.EXTENDED_MODE_FAILED if case.at_gateway else AuditEvent.USER_LOGON,
        )


def readers() -> Iterator[Row]:
    for name, problem in smart_cards.READERS.items():
        heard = problem == smart_cards.REQUIRED
        refused = AuditEvent.EXTENDED_MODE_FAILED if heard else None
        yield Row(
            fault=name,
            peer="user",
            policy="smart-card",
            client=problem,
            gateway=problem if heard else "",
            event=refused if problem else AuditEvent.USER_LOGON,
        )


def codes() -> Iterator[Row]:
    for fault in CODE_FAULTS:
        heard = fault.source == CLIENT
        yield Row(
            fault=fault.name.replace("-", " "),
            peer="user",
            policy="code",
            client=fault.problem,
            gateway=fault.problem if heard else "",
        )


def resumed() -> Iterator[Row]:
    for name, problem in RESUMED.items():
        yield Row(
            fault=name,
            peer="client",
            policy=Revocation.NONE,
            gateway=problem,
            event=AuditEvent.IPHTTPS_REFUSED if problem else OPENED,
        )


def impostors() -> Iterator[Row]:
    yield Row(
        fault="account of another computer in EAP, its own in IKE",
        peer="client",
        policy=Revocation.WEAK,
        client=ipsec_faults.UNSPECIFIED,
        gateway=ipsec_attacks.MISMATCH,
        event=AuditEvent.EXTENDED_MODE_FAILED,
    )


def health() -> Iterator[Row]:
    for mode, cases in health_faults.ADMITTED.items():
        for case, admitted in cases.items():
            yield Row(
                fault=HEALTH[case],
                peer="client",
                policy=mode,
                client="" if admitted else health_faults.REFUSED_AT_CLIENT,
                gateway="" if admitted else MISSING,
                event=AuditEvent.USER_LOGON if admitted else AuditEvent.EXTENDED_MODE_FAILED,
            )


def health_certificates() -> Iterator[Row]:
    for name, shown in health_faults.CERTIFICATES.items():
        yield Row(
            fault=f"health certificate: {name}",
            peer="client",
            policy="full",
            client=ipsec_faults.UNSPECIFIED if shown.gateway else "",
            gateway=shown.gateway,
            event=shown.event,
        )


SECTIONS = (
    Section(
        title="IPsec: what the gateway thinks of a computer",
        test="gateway/test_revocation.py::test_what_charon_says_when",
        words="charon on both ends; the policy is `revocation` under `[ipsec]`. A client is told "
        "by IKE only that it was refused: [audit](audit.md) says how it learns more.",
        rows=tuple(tunnel_clients()),
    ),
    Section(
        title="IPsec: what a client thinks of the gateway",
        test="gateway/test_revocation.py::test_the_gateway_is_judged_by_the_client",
        words="charon on both ends; the policy is `ipsec` under `[publish.revocation]`, or "
        "`ipsec_revocation` in `client.toml`.",
        rows=tuple(tunnel_gateways()),
    ),
    Section(
        title="IPsec: certificates and accounts of others",
        test="gateway/test_usages.py::test_who_tries_what",
        words="charon on both ends; what an honest client does not try, a modified one does.\n"
        "charon looks at no extended key usage: the gateway does, as soon as round 1 is done, and "
        "users, and computers\nthat prove themselves by tickets or RADIUS, wait for its verdict. "
        "Where the gateway has NT hashes charon decides\nby itself: such a tunnel, of somebody who "
        "knows the account's password too, can be up for a part of a second\nbefore it is ended, "
        "and the computer has none for the next minute. A certificate without the extension is\n"
        "for every use.",
        rows=tuple(attacks()),
    ),
    Section(
        title="IPsec: a modified charon",
        test="gateway/test_ipsec.py::test_a_modified_peer_cannot_say_one_account_and_prove_another",
        words="Its identity in IKE is client1's, with client1's stolen certificate; its EAP proves "
        "the account CLIENT2$.",
        rows=tuple(impostors()),
    ),
    Section(
        title="IP-HTTPS: the server's certificate",
        test="net/test_revocation.py::test_a_server_by_a_real_connection",
        words="A TLS server with this certificate. The gateway sees a client go during the "
        "handshake, as scanners do, and records nothing.",
        rows=tuple(servers()),
    ),
    Section(
        title="IP-HTTPS: revocation of the server's certificate",
        test="net/test_revocation.py::test_every_fault_under_every_policy",
        words="A web server with the lists and the responder; the policy is `iphttps` under "
        "`[publish.revocation]`, or `iphttps_revocation` in `client.toml`.",
        rows=tuple(revoked_servers()),
    ),
    Section(
        title="IP-HTTPS: clients' certificates",
        test="net/test_client_certificates.py::test_who_comes_in_is_recorded",
        words="Client, server and audit; `none` is a gateway without `client_crls`, `strong` one "
        "with them. There is no `weak`: the lists are files of the gateway's own.",
        rows=tuple(iphttps_clients()),
    ),
    Section(
        title="IP-HTTPS: resumed sessions",
        test="net/test_client_certificates.py::"
        "test_who_resumes_a_session_still_needs_a_certificate_in_force",
        words="TLS 1.2, as Windows does it; sessions of TLS 1.3 are not resumed. Another list of "
        "revoked certificates is\nanother context, which knows none.",
        rows=tuple(resumed()),
    ),
    Section(
        title="IP-HTTPS: NULL suites",
        test="gateway/test_worker.py::test_only_who_offers_nothing_else_gets_no_encryption",
        words="What a client offers, and the suite that it gets; the policy is `null_suites`, with "
        "an RSA certificate beside the one of ECDSA.\nThey need what IPsec has encrypted: with "
        "`client_to_client` or client certificates `null_suites = true` is refused as a\n"
        "configuration (`tests/gateway/test_checks.py`).",
        rows=tuple(null_suites()),
    ),
    Section(
        title="IP-HTTPS behind an ADC",
        test="docs/test_adc.py::test_only_clients_with_a_good_certificate_come_through",
        words="The configurations of [that page](adc.md), run by nginx and HAProxy. Where a "
        "revoked certificate is admitted the device alone judges, and was given no list: give it "
        "one.",
        rows=tuple(devices()),
    ),
    Section(
        title="IP-HTTPS: what a device says",
        test="docs/test_adc.py::test_who_is_believed_beside_a_device",
        words="A device that terminates TLS, or who passes for one: what is sent to a gateway's "
        "socket.",
        rows=tuple(headers()),
    ),
    Section(
        title="Tickets of users",
        test="gateway/test_ipsec.py::test_tokens_that_prove_nothing_are_refused",
        words="A real Kerberos, charon on both ends; nobody is asked but the gateway's keytab.",
        rows=tuple(tickets()),
    ),
    Section(
        title="Accounts of users",
        test="gateway/test_access.py::test_users_who_may_and_who_may_not",
        words="Samba's Active Directory, real tickets, charon on both ends.",
        rows=tuple(users()),
    ),
    Section(
        title="Accounts of computers",
        test="gateway/test_access.py::test_a_computer_that_may_not_is_refused",
        words="The same directory; certificate and password are good.",
        rows=tuple(computers()),
    ),
    Section(
        title="Accounts that lose their right",
        test="gateway/test_access.py::test_a_user_who_loses_his_right_is_cut",
        words="Who is in is looked up each 20 seconds, or as `interval` under `[directory]` says, "
        "and cut; what the ends say, they say when\nthe client comes again. Computers: "
        "`test_a_computer_that_loses_its_right_is_cut` beside it.",
        rows=tuple(cut()),
    ),
    Section(
        title="Computers by Kerberos",
        test="gateway/test_kdc.py::test_who_proves_an_account_by_a_ticket",
        words="Tickets through the gateway's KDC proxy: who gets none does not come to the tunnel. "
        "A ticket that a computer has got is good\nuntil it ends, some hours later, unless "
        "`[directory]` says otherwise before.",
        rows=tuple(by_ticket()),
    ),
    Section(
        title="Computers by FreeRADIUS and winbind",
        test="net/test_radius_relay.py::test_who_proves_an_account_in_the_domain",
        words="EAP-MSCHAPv2, passed on to a FreeRADIUS that asks winbind of the same domain.",
        rows=tuple(by_radius()),
    ),
    Section(
        title="Smart cards",
        test="gateway/test_user_proof.py::test_what_is_wrong_with_a_card",
        words="EAP-TLS in the second round of the intranet tunnel. "
        "[Smart cards](smart-cards.md) has what a client says of a card before it tries.",
        rows=tuple(cards()),
    ),
    Section(
        title="Smart cards, and certificates for codes",
        test="gateway/test_user_proof.py::test_who_shows_what",
        words="The policy is `require` under `[users]`, and `revocation` under "
        "`[users.certificates]`, with a web server that has the lists.",
        rows=tuple(shown_by_users()),
    ),
    Section(
        title="Smart cards in a reader",
        test="gateway/test_user_proof.py::test_a_wrong_pin_is_presented_once",
        words="SoftHSM; of a wrong PIN the gateway hears nothing. The other two are in\n"
        "`test_a_user_with_a_smart_card_has_the_intranet` beside it.",
        rows=tuple(readers()),
    ),
    Section(
        title="Health",
        test="gateway/test_health.py::test_who_comes_in_by_charon",
        words="charon on both ends, real tickets; what a computer has stated last, by mode.",
        rows=tuple(health()),
    ),
    Section(
        title="Health certificates",
        test="gateway/test_health_certificates.py::"
        "test_charon_wants_the_certificate_of_who_wants_the_intranet",
        words="charon on both ends, and an `authority` under `[health]`.",
        rows=tuple(health_certificates()),
    ),
    Section(
        title="One-time codes",
        test="gateway/test_codes.py::test_what_is_wrong_with_a_code",
        words="Asked for before a tunnel is tried, so IPsec records nothing.",
        rows=tuple(codes()),
    ),
)

CERTIFICATE_FAULTS = (
    *("good", "expired", "not yet valid", "untrusted root", "another name", "wrong usage"),
    *("revoked", "no distribution point", "list unreachable", "distribution point silent"),
    *("list stale", "list of another authority", "list unusable"),
)
_FILES = "the gateway's lists are files: nothing is fetched"
_COMPUTER = "a computer's name chooses its connection: who has another one is another computer"
ABSENT = {
    ("IPsec", "client", "another name"): _COMPUTER,
    ("IPsec", "client", "wrong usage"): "has rows among certificates and accounts of others",
    ("IPsec", "gateway", "wrong usage"): "charon looks at names, dates, chain and lists",
    ("IP-HTTPS", "client", "another name"): "whoever the authority names is a client",
    ("IP-HTTPS", "client", "list unusable"): "such a file is refused when it is configured",
    **{
        ("IP-HTTPS", "client", fault): _FILES
        for fault in ("no distribution point", "list unreachable", "distribution point silent")
    },
}
"""What has no row, and why: by protocol, peer and fault, for all policies."""
NO_POLICY = {
    ("IP-HTTPS", "client", "weak"): "the lists are files: an old one is the administrator's"
}


def render() -> str:
    """Return the page."""
    rows = [row for section in SECTIONS for row in section.rows]
    admitted = sum(row.admitted for row in rows)
    parts = [
        "<!-- Written by `python -m tests.admission`; change the faults under tests. -->",
        "# Who is admitted, who is refused, and what each end says",
        f"{len(rows)} cases, {admitted} of them admitted. Each is made and tried by the test that "
        "is named above its table, which\ndemands what the ends say, and what the gateway's audit "
        "records of it. `-`: nothing is said or recorded, or nobody is asked.\n"
        "The numbers are those of [the audit](audit.md).",
    ]
    parts += map(_section, SECTIONS)
    lines = [f"- {' · '.join(what)}: {why}." for what, why in (ABSENT | NO_POLICY).items()]
    parts += ["## What has no row", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    head = "| fault | at | policy | outcome | the client says | the gateway says | audit |"
    lines = [head, "|---|---|---|---|---|---|---|", *map(_line, section.rows)]
    table = "\n".join(lines)
    return f"## {section.title}\n\n{section.words}\n\nProven by `tests/{section.test}`.\n\n{table}"


def _line(row: Row) -> str:
    outcome = "admitted" if row.admitted else "**refused**"
    cells = (row.fault, row.peer, row.policy, outcome, _link(row.client), _link(row.gateway))
    return f"| {' | '.join(cells)} | {_event(row.event)} |"


def _link(code: str) -> str:
    return f"[{code}](../problems/{code}.md)" if code else "-"


def _event(event: AuditEvent | None) -> str:
    if event is None:
        return "-"
    return str(WINDOWS_NUMBERS.get(event) or event)


if __name__ == "__main__":
    PAGE.write_text(render())
