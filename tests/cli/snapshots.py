"""Snapshots that the tests of the command line show."""

from dataclasses import replace

from throughway.catalogue import find
from throughway.health.connection import connection_of
from throughway.health.tracker import Tracker
from throughway.model.findings import Component
from throughway.model.status import (
    ClientSnapshot,
    ComponentState,
    ComponentStatus,
    Condition,
    GatewaySnapshot,
    LinkStatus,
    Location,
    NamesStatus,
    RefusedClient,
    SessionStatus,
    TunnelState,
    TunnelStatus,
    WorkerStatus,
)

NOW = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""


def condition(code: str, detail: str = "", ago: float = 240) -> Condition:
    """Return a problem of the catalogue as it holds for some time."""
    tracker = Tracker(clock=lambda: NOW - ago)
    tracker.define(HOST="da.example.com", PORT="443", INTERFACE="iphttps0")
    tracker.set(replace(find(code), visible_after=0.0), detail)
    return tracker.current()[0]


INFRASTRUCTURE = TunnelStatus(
    name="infrastructure",
    state=TunnelState.UP,
    local_address="2001:db8:da:1000::c1",
    remote_address="2002:836b:2::836b:2",
    local_identity="client1.corp.example.com",
    remote_identity="da.example.com",
    account="CLIENT1$",
    prefixes=("2001:db8:c0:1::/64",),
    since=NOW - 239,
    bytes_in=123_456,
    bytes_out=7_890,
)
INTRANET = TunnelStatus(
    name="intranet",
    state=TunnelState.UP,
    local_address="2001:db8:da:1000::c1",
    remote_address="2002:836b:3::836b:3",
    local_identity="client1.corp.example.com",
    remote_identity="da.example.com",
    account="alice@CORP.EXAMPLE.COM",
    prefixes=("2001:db8:c0::/48",),
    since=NOW - 30,
    bytes_in=5_000_000,
    bytes_out=900,
)
INTRANET_DOWN = TunnelStatus(name="intranet", state=TunnelState.DOWN)
NAMES = NamesStatus(
    effective=True,
    stub="127.0.0.88",
    rules=(".corp.example.com -> 2001:db8:c0:1::10", "nls.corp.example.com -> local DNS"),
    upstreams=("192.168.137.1",),
)
LINK = LinkStatus(
    state="link-up",
    url="https://da.example.com:443/IPHTTPS",
    interface="iphttps0",
    addresses=("2001:db8:da:1000::c1",),
    since=NOW - 240,
    bytes_in=5_400_000,
    bytes_out=20_000,
    tls="TLSv1.3 TLS_AES_128_GCM_SHA256",
    pump="native: super-packets both ways",
)
LINK_DOWN = LinkStatus(
    state="link-down",
    url=LINK.url,
    interface="iphttps0",
    last_error="131.107.0.2 port 443: no answer in time",
    windows_code=0x274C,
    since=NOW - 240,
    retry_at=NOW + 25,
)


def judged(snapshot: ClientSnapshot) -> ClientSnapshot:
    """Return the snapshot with the one word that follows from the rest."""
    states = {tunnel.name: tunnel.state for tunnel in snapshot.tunnels}
    return replace(
        snapshot,
        connection=connection_of(
            location=snapshot.location,
            link_state=snapshot.link.state,
            infrastructure=states.get("infrastructure", TunnelState.DOWN),
            intranet=states.get("intranet", TunnelState.DOWN),
            names_effective=snapshot.names.effective,
            user=snapshot.user,
            problems=snapshot.problems,
        ),
    )


INFRASTRUCTURE_ONLY = judged(
    ClientSnapshot(
        version="0.1.0",
        taken_at=NOW,
        connection=connection_of(
            location=Location.UNKNOWN,
            link_state="",
            infrastructure=TunnelState.DOWN,
            intranet=TunnelState.DOWN,
            names_effective=False,
            user="",
        ),
        location=Location.OUTSIDE,
        location_detail="no location server answers",
        transport="iphttps",
        link=LINK,
        esp="kernel-libipsec (user space): the kernel has no ESP",
        tunnels=(INFRASTRUCTURE, INTRANET_DOWN),
        names=NAMES,
        user="",
        policy_deployment="corp.example.com",
        policy_version=3,
        policy_expires_at=NOW + 90 * 86400,
        kerberos_realm="CORP.EXAMPLE.COM",
    )
)
LOGGED_ON = judged(
    replace(INFRASTRUCTURE_ONLY, tunnels=(INFRASTRUCTURE, INTRANET), user="alice@CORP.EXAMPLE.COM")
)
INSIDE = judged(
    replace(
        INFRASTRUCTURE_ONLY,
        location=Location.INSIDE,
        location_detail="https://nls.corp.example.com/ answers",
        names=NamesStatus(effective=False, stub="127.0.0.88"),
        tunnels=(),
    )
)
BLOCKED = judged(
    replace(
        INFRASTRUCTURE_ONLY,
        link=LINK_DOWN,
        tunnels=(
            TunnelStatus(name="infrastructure", state=TunnelState.DOWN),
            INTRANET_DOWN,
        ),
        problems=(condition("iphttps-port-blocked", LINK_DOWN.last_error),),
    )
)
STARTING = judged(
    replace(
        INFRASTRUCTURE_ONLY,
        location=Location.UNKNOWN,
        location_detail="",
        link=LinkStatus(state="disabled", url="", interface="iphttps0"),
        tunnels=(),
        transport="",
        policy_deployment="",
        names=NamesStatus(effective=True, stub="127.0.0.88"),
    )
)
EXPIRING = condition("iphttps-cert-expiring", "expires 2023-12-01", ago=86400 * 3)
WORKERS = (
    WorkerStatus(
        number=0,
        state="serving",
        interface="iphttps0",
        prefix="2001:db8:da:1000::/64",
        pid=4711,
        since=NOW - 3600,
        sessions=2,
        opened=9,
        drops=(("nobody", 4), ("spoofed", 7)),
        refusals=(("timeout", 1),),
        suites=(("TLSv1.2 NULL-SHA256", 1), ("TLSv1.3 TLS_AES_256_GCM_SHA384", 1)),
    ),
    WorkerStatus(
        number=1,
        state="down",
        interface="iphttps1",
        prefix="2001:db8:da:1001::/64",
        since=NOW - 2,
        drops=(("nobody", 1),),
        restarts=2,
        last_end="killed by signal 9",
    ),
)
GATEWAY = GatewaySnapshot(
    version="0.1.0",
    taken_at=NOW,
    state=ComponentState.WARNING,
    iphttps_state="listen",
    url="https://da.example.com:443/IPHTTPS",
    esp="kernel: it has ESP",
    pump="pure: THROUGHWAY_PURE=1 is set",
    sessions=(
        SessionStatus(
            id=1,
            peer="131.107.0.100:40000",
            since=NOW - 3700,
            addresses=("2001:db8:da:1000::c1",),
            bytes_in=1024,
            bytes_out=2_000_000_000,
        ),
        SessionStatus(id=12, peer="131.107.0.50:5", since=NOW - 2, certificate="CN=b", dropped=3),
    ),
    tunnels=(
        TunnelStatus(
            name="infrastructure",
            state=TunnelState.UP,
            remote_identity="client1.corp.example.com",
            remote_address="2001:db8:da:1000::c1",
            account="CLIENT1$",
            since=NOW - 3600,
            bytes_in=10,
            bytes_out=20,
        ),
    ),
    components=(
        ComponentStatus(
            component=Component.IPHTTPS,
            state=ComponentState.OK,
            since=NOW - 86400 * 2,
            detail="listening",
        ),
        ComponentStatus(
            component=Component.CERTIFICATES,
            state=ComponentState.WARNING,
            since=NOW - 86400 * 3,
            detail="The gateway's IP-HTTPS certificate expires soon",
            conditions=(EXPIRING,),
        ),
        ComponentStatus(component=Component.DOMAIN, state=ComponentState.UNKNOWN, since=0.0),
        ComponentStatus(
            component=Component.AUTHORISER,
            state=ComponentState.DISABLED,
            since=NOW - 60,
            detail="no users configured",
        ),
    ),
    problems=(EXPIRING,),
    refusals=(
        RefusedClient(
            at=NOW - 90000, peer="2001:db8:da:1000::66", reason="no matching peer config"
        ),
        RefusedClient(
            at=NOW - 10,
            peer="client9.corp.example.com",
            reason="EAP-MS-CHAPv2 verification failed",
            problem="ipsec-computer-account-refused",
        ),
    ),
    workers=WORKERS,
)
