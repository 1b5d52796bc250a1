"""Event logs in all their forms, and the log of the connectivity assistant."""

import io
import json

import pytest

from tests.doctor.parsers.logs.evtx_file import CHUNK, FILE_HEADER, NAMESPACE, event_log
from tests.doctor.parsers.reading import facts, parsed, reading
from throughway.doctor.parsers.logs import connectivity_assistant, event_text, event_xml, evtx
from throughway.doctor.parsers.logs.reasons import code_of
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.events import LogEvent
from throughway.model.facts.ipsec import Mode, NegotiationFailure, NegotiationSuccess
from throughway.model.facts.names import NCALog
from throughway.model.facts.network import ComputerName

SECURITY = "Microsoft-Windows-Security-Auditing"


def xml(
    number: int, data: dict[str, str], *, provider: str = SECURITY, at: str = "08:00:00"
) -> str:
    values = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in data.items())
    return (
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='{provider}'/>"
        f"<EventID>{number}</EventID><Level>0</Level>"
        f"<TimeCreated SystemTime='2024-03-05T{at}.687103300Z'/>"
        "<Computer>CLIENT1.corp.example.com</Computer></System>"
        f"<EventData>{values}</EventData></Event>"
    )


FAILED = {
    "LocalMMPrincipalName": "-",
    "RemoteMMPrincipalName": "-",
    "LocalAddress": "2001:db8:7:100::5",
    "RemoteAddress": "2001:db8:7::1",
    "KeyModName": "%%8223",
    "FailurePoint": "%%8199",
    "FailureReason": "Negotiation timed out",
    "MMAuthMethod": "%%8227",
    "Role": "%%8205",
    "InitiatorCookie": "db55d3767e51b422",
    "ResponderCookie": "0000000000000000",
}

HEAD = """\
Log Name:      Security
Source:        Microsoft-Windows-Security-Auditing
Date:          3/5/2024 8:00:00 AM
Event ID:      {number}
Task Category: IPsec Main Mode
Level:         Information
Keywords:      Audit Failure
User:          N/A
Computer:      CLIENT1.corp.example.com
Description:
"""
BODY = """\
An IPsec Main Mode negotiation failed.

Local Endpoint:
\tLocal Principal Name:\t-
\tNetwork Address:\t2001:db8:7:100::5
\tKeying Module Port:\t500

Remote Endpoint:
\tPrincipal Name:\t\t-
\tNetwork Address:\t2001:db8:7::1
\tKeying Module Port:\t500

Additional Information:
\tKeying Module Name:\tAuthIP
\tAuthentication Method:\tUnknown authentication
\tRole:\t\t\tInitiator
\tImpersonation State:\tNot enabled
\tMain Mode Filter ID:\t81234

Failure Information:
\tFailure Point:\t\tLocal computer
\tFailure Reason:\t\tNegotiation timed out
\tState:\t\t\tSent first (SA) payload
\tInitiator Cookie:\t\tdb55d3767e51b422
\tResponder Cookie:\t0000000000000000
"""
GERMAN = """\
Protokollname: Security
Quelle:        Microsoft-Windows-Security-Auditing
Datum:         05.03.2024 08:00:00
Ereignis-ID:   4653
Aufgabenkategorie:IPsec-Hauptmodus
Ebene:         Informationen
Schl\u00fcsselw\u00f6rter:\u00dcberwachung gescheitert
Benutzer:      Nicht zutreffend
Computer:      CLIENT1.corp.example.com
Beschreibung:
Fehler bei der Aushandlung im IPsec-Hauptmodus.

Lokaler Endpunkt:
\tLokaler Prinzipalname:\t-
\tNetzwerkadresse:\t2001:db8:7:100::5
\tPort des Schl\u00fcsselerstellungsmoduls:\t500

Remoteendpunkt:
\tPrinzipalname:\t\t-
\tNetzwerkadresse:\t2001:db8:7::1
\tPort des Schl\u00fcsselerstellungsmoduls:\t500

Zus\u00e4tzliche Informationen:
\tName des Schl\u00fcsselerstellungsmoduls:\tAuthIP
\tAuthentifizierungsmethode:\tUnbekannte Authentifizierung
\tRolle:\t\t\tInitiator
\tIdentit\u00e4tswechselstatus:\tNicht aktiviert
\tHauptmodusfilter-ID:\t81234

Fehlerinformationen:
\tFehlerpunkt:\t\tLokaler Computer
\tFehlerursache:\t\tZeit\u00fcberschreitung bei der Aushandlung
\tStatus:\t\t\tErste Nutzlast (SA) gesendet
\tInitiatorcookie:\t\tdb55d3767e51b422
\tResponder-Cookie:\t0000000000000000
"""


def of_log(content: bytes) -> list[object]:
    evidence = Evidence("security.evtx", content=content[:65536], open=lambda: io.BytesIO(content))
    return list(evtx.PARSER.parse(evidence))


def check(failure: NegotiationFailure) -> None:
    assert failure.mode is Mode.MAIN
    assert failure.event == 4653
    assert (failure.local, failure.remote) == ("2001:db8:7:100::5", "2001:db8:7::1")
    assert failure.error_code == 13805
    assert (failure.failure_point, failure.role) == ("local", "initiator")
    assert failure.answered is False
    assert failure.local_name == ""


def test_an_event_log_of_windows() -> None:
    found = of_log(event_log([xml(4653, FAILED), xml(4624, {"TargetUserName": "x"})]))
    name, failure = found
    assert isinstance(name, ComputerName)
    assert (name.name, name.domain) == ("CLIENT1", "corp.example.com")
    assert isinstance(failure, NegotiationFailure)
    check(failure)
    assert failure.when == "2024-03-05T08:00:00Z"
    assert failure.authentication == "certificate"
    assert "FailureReason=Negotiation timed out" in failure.source.text


def test_a_damaged_chunk_is_not_given_to_the_library() -> None:
    content = bytearray(event_log([xml(4653, FAILED)]))
    content[FILE_HEADER + 200] = 7
    with pytest.raises(ParseError, match="wevtutil epl"):
        of_log(bytes(content))


def test_a_log_that_breaks_off_behind_its_last_record() -> None:
    content = event_log([xml(4653, FAILED)])
    assert len(content) == FILE_HEADER + CHUNK
    assert len(of_log(content[: FILE_HEADER + 20_000])) == 2
    with pytest.raises(ParseError):
        of_log(content[: FILE_HEADER + 900])
    with pytest.raises(ParseError):
        of_log(content[:900])


def test_many_chunks() -> None:
    one = event_log([xml(4653, FAILED)])
    assert len(of_log(one + one[FILE_HEADER:] * 40)) == 2


def test_xml_of_wevtutil_the_newest_of_each_kind() -> None:
    text = "\n".join(xml(4653, FAILED, at=at) for at in ("08:00:00", "09:00:00", "08:30:00"))
    (failure,) = facts(text, NegotiationFailure)
    check(failure)
    assert failure.when == "2024-03-05T09:00:00Z"
    assert failure.source.line == 2
    assert failure.times == 3


def test_xml_as_event_viewer_shows_it() -> None:
    text = (
        xml(4653, FAILED).replace("<System>", "\n- <System>\n ").replace("<EventD", "\n- <EventD")
    )
    (failure,) = facts("- " + text, NegotiationFailure)
    check(failure)


def test_xml_cut_off() -> None:
    whole = xml(4653, FAILED)
    assert len(facts(whole + "\n" + whole[:300], NegotiationFailure)) == 1
    with pytest.raises(ParseError) as error:
        parsed(event_xml.PARSER, whole[:300])
    assert error.value.line == 1


def test_user_data_and_other_providers() -> None:
    event = xml(4302, {"ErrorCode": "183"}, provider="Microsoft-Windows-Iphlpsvc")
    (found,) = facts(event, LogEvent)
    assert found.value("ErrorCode") == "183"
    assert found.role_shown is Role.SERVER
    nested = (
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='RemoteAccess'/>"
        "<EventID>20255</EventID></System><UserData><EventXML><Error>829</Error></EventXML></UserData></Event>"
    )
    (found,) = facts(nested, LogEvent)
    assert found.data == (("Error", "829"),)


def test_probes_of_the_assistant_from_its_events() -> None:
    probe = {"Type": "3", "Resource": "http://nca.corp.example.com/"}
    text = "".join(
        xml(7, {**probe, "Result": result}, provider="Microsoft-Windows-Ncasvc", at=at)
        for result, at in (("0", "08:00:00"), ("12007", "08:05:00"))
    )
    (log,) = facts(text, NCALog)
    assert log.failed_probes == ("http://nca.corp.example.com/",)
    assert log.passed_probes == ()


def test_a_log_of_several_computers_names_none() -> None:
    other = xml(4653, {**FAILED, "Role": "%%8206"}).replace("CLIENT1", "CLIENT2")
    assert facts(xml(4653, FAILED) + other, ComputerName) == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD.format(number=4653) + BODY,
        "Event[0]:\n"
        + HEAD.format(number=4653).replace("3/5/2024 8:00:00 AM", "2024-03-05T08:00:00.000")
        + BODY,
        GERMAN,
    ],
    ids=["viewer", "wevtutil", "german"],
)
def test_texts(text: str) -> None:
    (failure,) = facts(text, NegotiationFailure)
    check(failure)
    assert failure.when == "2024-03-05T08:00:00" or text is GERMAN
    (name,) = facts(text, ComputerName)
    assert name.name == "CLIENT1"


def test_two_texts_and_one_cut_off() -> None:
    text = HEAD.format(number=4653) + BODY + "\n" + HEAD.format(number=4653) + BODY[:200]
    found = facts(text, NegotiationFailure)
    assert len(found) == 2
    check(found[0])
    assert found[1].error_code is None
    assert found[1].remote is None


def test_labels_of_no_language() -> None:
    lines = [
        f"{line[: len(line) - len(line.lstrip())]}Qx{i}:{line.partition(':')[2]}"
        if ":" in line
        else line
        for i, line in enumerate((HEAD.format(number=4653) + BODY).split("\n"))
    ]
    found = list(event_text.PARSER.parse(Evidence("a.txt", "\n".join(lines))))
    check(next(fact for fact in found if isinstance(fact, NegotiationFailure)))


def test_a_description_without_its_head() -> None:
    (failure,) = facts(BODY, NegotiationFailure)
    check(failure)


def test_the_description_of_a_kind_of_event_is_no_event() -> None:
    template = BODY.replace("2001:db8:7::1", "%5")
    assert facts(template, NegotiationFailure) == []


def test_a_text_without_a_head() -> None:
    with pytest.raises(ParseError):
        parsed(event_text.PARSER, "Nothing: here\n")


def test_a_success() -> None:
    text = HEAD.format(number=4650) + (
        "Eine IPsec-Sicherheitszuordnung wurde hergestellt.\n\nA:\n\tB:\tx\n\tC:\t2001:db8::5\n"
        "\tD:\t500\n\nE:\n\tF:\ty\n\tG:\t2001:db8:7::1\n"
    )
    (found,) = facts(text, NegotiationSuccess)
    assert (found.local, found.remote) == ("2001:db8::5", "2001:db8:7::1")


def test_get_winevent_as_list_and_json() -> None:
    indented = "\n".join(" " * 15 + line for line in BODY.split("\n")[1:])
    text = (
        "TimeCreated  : 2024-03-05T08:00:00\n"
        f"ProviderName : {SECURITY}\nId           : 4653\n"
        f"Message      : {BODY.split(chr(10))[0]}\n{indented}\n"
    )
    (failure,) = facts(text, NegotiationFailure)
    check(failure)
    record = {
        "TimeCreated": "2024-03-05T08:00:00",
        "ProviderName": SECURITY,
        "Id": 4653,
        "Message": BODY.replace("\n", "\r\n"),
    }
    (failure,) = facts(json.dumps([record], indent=2), NegotiationFailure)
    check(failure)


def test_get_winevent_as_table() -> None:
    text = """

   ProviderName: Microsoft-Windows-Iphlpsvc

TimeCreated                     Id LevelDisplayName Message
-----------                     -- ---------------- -------
3/5/2024 8:00:00 AM           4302 Error            IP-HTTPS server has failed to start with...
"""
    (event,) = facts(text, LogEvent)
    assert (event.provider, event.event) == ("Microsoft-Windows-Iphlpsvc", 4302)
    assert event.when == "2024-03-05T08:00:00"


ASSISTANT = """\
RED: Corporate connectivity is not working.
3/5/2024 8:00:00 (UTC)


Probes List
FAIL HTTP: http://directaccess-webprobehost.corp.example.com
PASS PING: 2001:db8:7::25

DTE List
PASS PING: 2002:836b:2::836b:2
FAIL PING: 2002:836b:3::836b:3

C:\\Windows\\system32\\LogSpace\\{EC7CF5B3-BE2B-42BE-9A71-0CDBF2FC4EFE}>netsh int teredo show state
Teredo Parameters
---------------------------------------------
Type                    : client
State                   : dormant
"""


def test_the_log_of_the_assistant() -> None:
    (log,) = facts(ASSISTANT, NCALog)
    assert log.status == "RED"
    assert log.failed_probes == ("http://directaccess-webprobehost.corp.example.com",)
    assert log.passed_probes == ("2001:db8:7::25",)
    assert log.failed_endpoints == ("2002:836b:3::836b:3",)
    assert log.passed_endpoints == ("2002:836b:2::836b:2",)
    parsers = {name for item in reading(ASSISTANT).read for name in item.parsers}
    assert "netsh interface teredo show state" in parsers


def test_a_log_of_the_assistant_that_says_nothing() -> None:
    with pytest.raises(ParseError):
        parsed(connectivity_assistant.PARSER, "Probes List\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("IKE authentication credentials are unacceptable.", 13801),
        ("IKE \u8eab\u4efd\u9a8c\u8bc1\u51ed\u636e\u4e0d\u53ef\u63a5\u53d7", 13801),
        ("La n\u00e9gociation a expir\u00e9", 13805),
        ("Agotado el tiempo de espera de la negociaci\u00f3n", 13805),
        ("IKE failed to find valid machine certificate. Contact your administrator.", 13806),
        ("Peer failed to send valid machine certificate", 13847),
        ("0x35ed", 13805),
        ("error 13868", 13868),
        ("error 14000", None),
        ("something nobody has seen", None),
        ("", None),
    ],
)
def test_words_of_reasons(words: str, code: int | None) -> None:
    assert code_of(words) == code
