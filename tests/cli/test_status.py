# ruff: noqa: E501 (the texts are as wide as they are)
"""What people read: whole texts, so that a change is seen."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.snapshots import (
    BLOCKED,
    GATEWAY,
    INFRASTRUCTURE_ONLY,
    INSIDE,
    LINK_DOWN,
    LOGGED_ON,
    NOW,
    STARTING,
    condition,
    judged,
)
from throughway.cli.gateway_status import (
    SHOWN,
    gateway_gist,
    render_gateway,
)
from throughway.cli.parts import exit_code_of
from throughway.cli.status import (
    COULD_NOT_TELL,
    PROBLEMS,
    WELL,
    View,
    client_exit_code,
    client_gist,
    commands,
    duration,
    printable,
    render_client,
    size,
)
from throughway.model.statement import (
    CheckResult,
    CheckState,
    ComputerHealth,
    Failing,
    HealthStatus,
)
from throughway.model.status import (
    ClientSnapshot,
    ComponentState,
    Connection,
    LinkStatus,
    SixToFourServerStatus,
    StageName,
    StageState,
    StageStatus,
    TeredoServerStatus,
    TransportKind,
    TransportState,
    TransportStatus,
    TunnelState,
)

VIEW = View(now=NOW, zone=UTC)
INFRASTRUCTURE_ONLY_TEXT = """\
Connected remotely: infrastructure only; log on for the intranet

Location                outside: no location server answers
Transport               iphttps
IP-HTTPS link           link-up since 22:09 (4 min)
  URL                   https://da.example.com:443/IPHTTPS
  Address               2001:db8:da:1000::c1 on iphttps0
  TLS                   TLSv1.3 TLS_AES_128_GCM_SHA256
  Packet pump           native: super-packets both ways
  Traffic               5.1 MiB in, 19.5 KiB out
Infrastructure tunnel   up since 22:09 (3 min)
  Gateway               da.example.com at 2002:836b:2::836b:2
  Computer              client1.corp.example.com at 2001:db8:da:1000::c1
  Account               CLIENT1$
  Reaches               2001:db8:c0:1::/64
  ESP                   kernel-libipsec (user space): the kernel has no ESP
  Traffic               121 KiB in, 7.7 KiB out
Names                   rules in effect, asked at 127.0.0.88
  Rule                  .corp.example.com -> 2001:db8:c0:1::10
  Rule                  nls.corp.example.com -> local DNS
  Other names           asked of 192.168.137.1
Intranet tunnel         down
User                    nobody is logged on
Policy                  corp.example.com, version 3, valid until 2024-02-12 22:13

Problems: none
"""
INSIDE_TEXT = """\
Connected locally: inside the intranet, no tunnels needed

Location                inside: https://nls.corp.example.com/ answers
Names                   rules not in effect
User                    nobody is logged on
Policy                  corp.example.com, version 3, valid until 2024-02-12 22:13

Problems: none
"""
BLOCKED_TEXT = """\
Not connected: No answer from the gateway's port

Location                outside: no location server answers
Transport               iphttps
IP-HTTPS link           link-down since 22:09 (4 min)
  URL                   https://da.example.com:443/IPHTTPS
  Last error            131.107.0.2 port 443: no answer in time
  As Windows says it    0x274C WSAETIMEDOUT: no answer in time
  Next try              22:13 (in 25 s)
Infrastructure tunnel   down
Names                   rules in effect, asked at 127.0.0.88
  Rule                  .corp.example.com -> 2001:db8:c0:1::10
  Rule                  nls.corp.example.com -> local DNS
  Other names           asked of 192.168.137.1
Intranet tunnel         down
User                    nobody is logged on
Policy                  corp.example.com, version 3, valid until 2024-02-12 22:13

Problems: 1

critical: No answer from the gateway's port [iphttps-port-blocked]
  131.107.0.2 port 443: no answer in time; since 22:09 (4 min)
  Cause:      The TCP connection timed out, or a router says that the host cannot be reached: a
              firewall before the gateway or in this network drops the port, the public address
              is wrong, or the gateway's host is down.
  Resolution: Try from another network. If it works there, this network blocks the port; if not,
              check the address record, the firewall before the gateway and the gateway itself.
  Prove:      openssl s_client -connect da.example.com:443 -servername da.example.com -brief
  Prove:      throughway client status
"""
STARTING_TEXT = """\
Connecting: finding out where this machine is

Location                unknown
Transport               none
IP-HTTPS link           disabled
Infrastructure tunnel   down
Names                   rules in effect, asked at 127.0.0.88
Intranet tunnel         down
User                    nobody is logged on
Policy                  none: this client has joined no deployment

Problems: none
"""
GATEWAY_TEXT = """\
The gateway works, with warnings

IP-HTTPS                listen at https://da.example.com:443/IPHTTPS
ESP                     kernel: it has ESP
Packet pump             pure: THROUGHWAY_PURE=1 is set

Components
  iphttps               ok       since 2023-11-12 22:13 (2 d), listening
  certificates          warning  since 2023-11-11 22:13 (3 d), The gateway's IP-HTTPS certificate expires soon
  domain                unknown
  authoriser            disabled since 22:12 (60 s), no users configured

Workers: 2
  worker  state    pid   link      prefix                 for     sessions  restarts  last end
  0       serving  4711  iphttps0  2001:db8:da:1000::/64  60 min  2         0         -
  1       down     -     iphttps1  2001:db8:da:1001::/64  2 s     0         2         killed by signal 9

Dropped packets         spoofed 7, nobody 5

Refused connections     timeout 1

Cipher suites           TLSv1.2 NULL-SHA256 1, TLSv1.3 TLS_AES_256_GCM_SHA384 1

Sessions: 2
  id  peer                 addresses             for     in       out      dropped  certificate
  1   131.107.0.100:40000  2001:db8:da:1000::c1  61 min  1.0 KiB  1.9 GiB  0        -
  12  131.107.0.50:5       -                     2 s     0 B      0 B      3        CN=b

Tunnels: 1
  tunnel          state  computer                  address               account   for     in    out
  infrastructure  up     client1.corp.example.com  2001:db8:da:1000::c1  CLIENT1$  60 min  10 B  20 B

Refused lately: 2
  at                peer                      why
  2023-11-13 21:13  2001:db8:da:1000::66      no matching peer config
  22:13             client9.corp.example.com  EAP-MS-CHAPv2 verification failed [ipsec-computer-account-refused]

Problems: 1

warning: The gateway's IP-HTTPS certificate expires soon [iphttps-cert-expiring]
  expires 2023-12-01; since 2023-11-11 22:13 (3 d)
  Cause:      The end of its validity is near. On that day every client is cut off.
  Resolution: Issue a new certificate for the same name, put it in place and reload the gateway.
  Mend:       throughway pki issue gateway da.example.com --output /etc/throughway/gateway --force
  Mend:       throughway gateway reload
  Prove:      openssl x509 -in CERTIFICATE -noout -enddate
  Prove:      throughway gateway status
"""


@pytest.mark.parametrize(
    ("snapshot", "text"),
    [
        (INFRASTRUCTURE_ONLY, INFRASTRUCTURE_ONLY_TEXT),
        (INSIDE, INSIDE_TEXT),
        (BLOCKED, BLOCKED_TEXT),
        (STARTING, STARTING_TEXT),
    ],
    ids=["infrastructure", "inside", "blocked", "starting"],
)
def test_a_client_in_words(snapshot: ClientSnapshot, text: str) -> None:
    assert render_client(snapshot, VIEW) + "\n" == text


def test_a_user_who_is_logged_on() -> None:
    lines = render_client(LOGGED_ON, VIEW).splitlines()
    assert lines[0] == "Connected remotely: infrastructure and intranet, alice@CORP.EXAMPLE.COM"
    assert "Intranet tunnel         up since 22:12 (30 s)" in lines
    assert "  Gateway               da.example.com at 2002:836b:3::836b:3" in lines


def test_a_gateway_in_words() -> None:
    assert render_gateway(GATEWAY, VIEW) + "\n" == GATEWAY_TEXT


def test_what_a_peer_says_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\x07\u202e\nConnected remotely"
    link = replace(LINK_DOWN, last_error=evil)
    snapshot = replace(BLOCKED, link=link, user=evil, problems=(condition("clock-skew", evil),))
    gateway = replace(
        GATEWAY, sessions=(replace(GATEWAY.sessions[0], peer=evil, certificate=evil),)
    )
    for text in (render_client(snapshot, VIEW), render_gateway(gateway, VIEW)):
        assert printable(text.replace("\n", "")) == text.replace("\n", "")
        assert "\nConnected" not in text


def test_a_command_for_the_other_end_says_where_it_is_typed() -> None:
    problem = replace(
        BLOCKED.problems[0],
        fix=("throughway policy build", "throughway client refresh", "ip link"),
        verify=(
            "systemctl restart throughway-gateway",
            "journalctl -u throughway-client -u throughway-gateway",
        ),
    )
    for here, marked in (("client", [0, 3]), ("gateway", [1]), ("", [])):
        lines = list(commands(problem, View(now=0.0, here=here)))
        ends = [number for number, line in enumerate(lines) if "  # on the " in line]
        assert ends == marked
    lines = list(commands(problem, View(now=0.0, here="gateway")))
    assert lines[1] == "  Mend:       throughway client refresh  # on the client"


def test_colours_are_only_painted() -> None:
    painted: list[tuple[str, str]] = []

    def paint(text: str, state: str) -> str:
        painted.append((text, state))
        return text

    view = replace(VIEW, paint=paint)
    assert render_client(BLOCKED, view) + "\n" == BLOCKED_TEXT
    assert render_gateway(GATEWAY, view) + "\n" == GATEWAY_TEXT
    assert ("Not connected: No answer from the gateway's port", "error") in painted
    assert ("warning  ", "warning") in painted


# Exit codes


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (INFRASTRUCTURE_ONLY, WELL),
        (LOGGED_ON, WELL),
        (INSIDE, WELL),
        (BLOCKED, PROBLEMS),
        (STARTING, PROBLEMS),
        (replace(LOGGED_ON, problems=(condition("policy-out-of-date"),)), PROBLEMS),
        (replace(LOGGED_ON, problems=(condition("iphttps-idle-other-transport-in-use"),)), WELL),
    ],
)
def test_client_exit_code(snapshot: ClientSnapshot, code: int) -> None:
    assert client_exit_code(judged(snapshot)) == code


@pytest.mark.parametrize("connection", Connection)
def test_only_a_connected_client_exits_with_0(connection: Connection) -> None:
    code = client_exit_code(replace(INFRASTRUCTURE_ONLY, connection=connection))
    assert (code == WELL) == connection.startswith("connected")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ComponentState.OK, WELL),
        (ComponentState.DISABLED, WELL),
        (ComponentState.WARNING, PROBLEMS),
        (ComponentState.ERROR, PROBLEMS),
        (ComponentState.UNKNOWN, COULD_NOT_TELL),
    ],
)
def test_exit_code_of(state: ComponentState, code: int) -> None:
    assert exit_code_of(state) == code


# Sizes and times


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (123_456, "121 KiB"),
        (1_048_576, "1.0 MiB"),
        (1_048_575, "1.0 MiB"),
        (2_000_000_000, "1.9 GiB"),
        (1 << 60, "1024 PiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@given(st.integers(0, 1 << 59))
def test_sizes_are_short(count: int) -> None:
    assert len(size(count)) <= 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7260, "2 h 1 min"),
        (86400 * 2, "2 d"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_have_a_date_unless_it_is_today() -> None:
    assert VIEW.since(NOW - 600) == "since 22:03 (10 min)"
    assert VIEW.since(NOW - 86400) == "since 2023-11-13 22:13 (24 h 0 min)"
    assert VIEW.since(0.0) == ""
    assert VIEW.to_come(NOW + 60) == "22:14 (in 60 s)"


# What is worth telling of


def test_the_gist_of_a_client_is_not_its_counters() -> None:
    later = replace(
        LOGGED_ON,
        taken_at=NOW + 5,
        link=replace(LOGGED_ON.link, bytes_in=1),
        tunnels=tuple(replace(t, bytes_in=1) for t in LOGGED_ON.tunnels),
    )
    assert client_gist(later) == client_gist(LOGGED_ON)
    down = tuple(replace(t, state=TunnelState.DOWN) for t in LOGGED_ON.tunnels)
    assert client_gist(replace(LOGGED_ON, tunnels=down)) != client_gist(LOGGED_ON)
    assert client_gist(INSIDE) != client_gist(BLOCKED)


SIXTOFOUR_TEXT = """\
6to4                    down since 22:13 (5 s)
  Addresses             131.107.0.2, 131.107.0.3
  Carried by            user space: the kernel has no sit
  Traffic               1.0 KiB in, 2.0 KiB out
  Dropped               spoofed 3, not-for-us 1
  Last end              killed
"""


def test_6to4_of_a_gateway() -> None:
    status = SixToFourServerStatus(
        state="down",
        carrier="user space: the kernel has no sit",
        addresses=("131.107.0.2", "131.107.0.3"),
        since=NOW - 5,
        bytes_in=1024,
        bytes_out=2048,
        drops=(("spoofed", 3), ("not-for-us", 1)),
        last_end="killed",
    )
    assert SIXTOFOUR_TEXT in render_gateway(replace(GATEWAY, sixtofour=status), VIEW)
    assert "6to4" not in render_gateway(GATEWAY, VIEW)
    up = replace(status, state="serving")
    gists = {gateway_gist(replace(GATEWAY, sixtofour=one)) for one in (None, status, up)}
    assert len(gists) == 3


TEREDO_TEXT = """\
Teredo                  down since 22:13 (5 s)
  Addresses             131.107.0.2, 131.107.0.3
  Clients               4 remembered, 17 answers
  Traffic               1.0 KiB in, 2.0 KiB out
  Dropped               too many 3
  Last end              killed
"""


def test_teredo_of_a_gateway() -> None:
    status = TeredoServerStatus(
        state="down",
        interface="teredo0",
        addresses=("131.107.0.2", "131.107.0.3"),
        since=NOW - 5,
        clients=4,
        answered=17,
        bytes_in=1024,
        bytes_out=2048,
        drops=(("too many", 3),),
        last_end="killed",
    )
    assert TEREDO_TEXT in render_gateway(replace(GATEWAY, teredo=status), VIEW)
    assert "Teredo" not in render_gateway(GATEWAY, VIEW)
    up = replace(status, state="serving")
    gists = {gateway_gist(replace(GATEWAY, teredo=one)) for one in (None, status, up)}
    assert len(gists) == 3


def test_the_gist_of_a_gateway_is_not_its_counters() -> None:
    sessions = tuple(replace(s, bytes_in=7) for s in GATEWAY.sessions)
    assert gateway_gist(replace(GATEWAY, sessions=sessions)) == gateway_gist(GATEWAY)
    assert gateway_gist(replace(GATEWAY, sessions=())) != gateway_gist(GATEWAY)


def test_thousands_of_sessions_do_not_fill_the_terminal() -> None:
    (session, *_) = GATEWAY.sessions
    many = replace(GATEWAY, sessions=(session,) * 5000)
    text = render_gateway(many, VIEW)
    assert "Sessions: 5000\n" in text
    assert f"… and {5000 - SHOWN} more: --json tells them all" in text
    assert text.count("131.107.0.100:40000") == SHOWN


def test_the_chain_of_transports_says_which_one_and_why_not_the_better_ones() -> None:
    def transport(kind: str, state: str, reason: str) -> TransportStatus:
        return TransportStatus(kind=TransportKind(kind), state=TransportState(state), reason=reason)

    chain = (
        transport("native", "idle", "does not work here: no native IPv6 address"),
        replace(
            transport("6to4", "up", "carries the tunnels"),
            interface="sixtofour0",
            addresses=("2002:836b:32::836b:32",),
            details=(("IPv4 address", "131.107.0.50"),),
            since=NOW - 240,
            chosen=True,
        ),
        transport("iphttps", "idle", "not needed: 6to4 is better"),
    )
    link = LinkStatus(state="disabled", url="https://da.example.com/", interface="iphttps0")
    snapshot = replace(LOGGED_ON, transport="6to4", transports=chain, link=link)
    lines = render_client(snapshot, VIEW).splitlines()
    first = lines.index("Transport               6to4")
    assert lines[first + 1 : first + 6] == [
        "  native                does not work here: no native IPv6 address",
        "  6to4                  carries the tunnels since 22:09 (4 min)",
        " " * 24 + "2002:836b:32::836b:32 on sixtofour0, IPv4 address 131.107.0.50",
        "  iphttps               not needed: 6to4 is better",
        lines[first + 5],
    ]
    assert lines[first + 5].startswith("Infrastructure tunnel"), "no link that is not used"


FAILING = Failing(name="firewall", words="nothing filters what comes in", fix="ufw enable")
CHECK = CheckResult(name="firewall", state=CheckState.BAD, words="nothing filters what comes in")


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (HealthStatus(mode="full"), "Health                  not judged yet, mode full\n"),
        (
            HealthStatus(mode="report", healthy=True, until=NOW + 60),
            "Health                  good, believed until 22:14, mode report\n",
        ),
        (
            HealthStatus(mode="full", healthy=False, checks=(CHECK,), failing=(FAILING,)),
            "Health                  not good enough, mode full\n"
            "  firewall              nothing filters what comes in\n"
            "                        to mend it: ufw enable\n",
        ),
        (
            HealthStatus(mode="deferred", healthy=False, deferred_until="2027-02-01"),
            "not good enough, mode deferred: everybody comes in until 2027-02-01\n",
        ),
        (
            HealthStatus(mode="full", healthy=True, until=NOW + 60, certified_until=NOW + 60),
            "  Certificate           health certificate until 22:14\n",
        ),
        (HealthStatus(mode="full", last_error="refused"), "  Last error            refused\n"),
    ],
)
def test_health_of_a_client(health: HealthStatus, said: str) -> None:
    assert said in render_client(replace(LOGGED_ON, health=health), VIEW)
    assert "Health" not in render_client(LOGGED_ON, VIEW)


def test_health_of_computers() -> None:
    sick = ComputerHealth(computer="pc1", healthy=False, at=NOW - 5, until=0, failing=(FAILING,))
    well = ComputerHealth(computer="pc2", healthy=True, at=NOW, until=NOW + 9)
    text = render_gateway(replace(GATEWAY, health=(sick, well)), VIEW)
    assert "Health: 1 of 2 computers healthy\n" in text
    assert "pc1" in text
    assert "ufw enable" in text
    assert "pc2" not in text


def test_the_chain_is_shown_first() -> None:
    chain = (
        StageStatus(
            stage=StageName.LOCATION,
            state=StageState.OK,
            since=NOW - 240,
            reason="outside: no location server answers",
        ),
        StageStatus(
            stage=StageName.LINK,
            state=StageState.ERROR,
            since=NOW - 30,
            reason="The gateway does not answer (131.107.0.2 port 443: no answer in time, \x1b[2J)",
        ),
        StageStatus(
            stage=StageName.ADDRESS,
            state=StageState.WAITING,
            since=NOW - 30,
            reason="waiting for the link",
        ),
    )
    text = render_client(replace(BLOCKED, chain=chain), VIEW)
    assert (
        text.split("\n\n")[1]
        == """\
location                ok        outside: no location server answers, since 22:09 (4 min)
link                    error     The gateway does not answer (131.107.0.2 port 443: no answer
                                  in time, �[2J), since 22:12 (30 s)
address                 waiting   waiting for the link, since 22:12 (30 s)"""
    )


def test_the_gist_has_the_chain_but_not_its_times() -> None:
    stage = StageStatus(stage=StageName.LINK, state=StageState.OK, since=NOW)
    one, later = (
        replace(LOGGED_ON, chain=(replace(stage, since=since),)) for since in (NOW, NOW + 1)
    )
    assert client_gist(one) == client_gist(later)
    bad = replace(LOGGED_ON, chain=(replace(stage, state=StageState.ERROR),))
    assert client_gist(one) != client_gist(bad)
