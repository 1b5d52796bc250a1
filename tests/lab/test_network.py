"""Batches for ip(8), and the files that a network gives a host."""

from throughway.lab import network
from throughway.lab.topology import DIRECTACCESS, Place, Route

HOME, CORP, OFFLINE = (DIRECTACCESS.place(name) for name in ("home", "corp", "offline"))
PIDS = {host.name: 1000 + number for number, host in enumerate(DIRECTACCESS.hosts)}


def test_every_cabled_interface_gets_a_cable_into_its_host() -> None:
    lines = network.switch_batch(DIRECTACCESS, PIDS).splitlines()
    cables = [line for line in lines if " type veth " in line]
    wanted = sum(len(network.cabled(host)) for host in DIRECTACCESS.hosts)
    assert len(cables) == wanted
    pid = PIDS["edge1"]
    assert f"link add edge1.inside type veth peer name inside netns {pid}" in lines
    assert "link set edge1.inside master infra up" in lines
    assert not [line for line in cables if "peer name lo" in line]


def test_bridges_do_not_snoop_multicast() -> None:
    lines = network.switch_batch(DIRECTACCESS, PIDS).splitlines()
    bridges = [line for line in lines if " type bridge " in line]
    assert len(bridges) == len(DIRECTACCESS.networks)
    assert all("mcast_snooping 0" in line for line in bridges)


def test_mobile_hosts_start_unplugged() -> None:
    batch = network.switch_batch(DIRECTACCESS, PIDS)
    assert "link add client1.eth0 type veth" in batch
    assert "link set client1.eth0 master" not in batch


def test_host_batch_gives_addresses_and_routes() -> None:
    lines = network.host_batch(DIRECTACCESS.host("edge1")).splitlines()
    assert lines[0] == "link set lo up"
    assert "addr add 131.107.0.3/24 dev outside" in lines
    assert "addr add 2002:836b:2::836b:2/128 dev lo nodad" in lines
    assert "route add 2001:db8:c0::/48 via 2001:db8:c0:1::fe" in lines
    assert "route add 0.0.0.0/0 via 131.107.0.1" in lines


def test_settings_leave_duplicate_address_detection_to_later_interfaces() -> None:
    settings = network.host_settings(DIRECTACCESS.host("client1"))
    assert not [
        s
        for s in settings
        if s.startswith(("net/ipv6/conf/all/accept_dad", "net/ipv6/conf/default"))
    ]
    assert "net/ipv6/conf/all/forwarding=0" in settings
    assert "net/ipv6/conf/all/forwarding=1" in network.host_settings(DIRECTACCESS.host("edge1"))


def test_plugging_pulls_the_cable_first() -> None:
    assert network.plug_batch("client1", CORP).splitlines() == [
        "link set client1.eth0 down nomaster",
        "link set client1.eth0 master corp up",
    ]
    assert network.plug_batch("client1", OFFLINE) == "link set client1.eth0 down nomaster\n"


def test_joining_gives_what_the_place_gives() -> None:
    lines = network.join_batch(DIRECTACCESS.host("client2"), CORP).splitlines()
    assert lines == [
        "link set eth0 up",
        "addr add 2001:db8:c0:3::102/64 dev eth0 nodad",
        "addr add 10.0.3.102/24 dev eth0",
        "route add ::/0 via 2001:db8:c0:3::fe",
        "route add 0.0.0.0/0 via 10.0.3.254",
    ]


def test_default_routes_say_their_family() -> None:
    place = Place(name="x", network="x", purpose="", routes=(Route(prefix="default", via="::1"),))
    assert "route add ::/0 via ::1" in network.join_batch(DIRECTACCESS.host("client1"), place)


def test_resolv_conf() -> None:
    text = network.build_resolv_conf(CORP.nameservers, CORP.search)
    assert text == ("search corp.example.com\nnameserver 2001:db8:c0:1::10\nnameserver 10.0.1.10\n")
    assert network.build_resolv_conf((), "") == "\n"


def test_hosts_file_names_only_the_host_itself() -> None:
    text = network.build_hosts(DIRECTACCESS.host("dc1"))
    assert "2001:db8:c0:1::10 dc1.corp.example.com dc1\n" in text
    assert "127.0.1.1" not in text
    assert "app1" not in text
    assert "127.0.1.1 client1.corp.example.com client1\n" in network.build_hosts(
        DIRECTACCESS.host("client1")
    )
