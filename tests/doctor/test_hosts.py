"""Whose evidence is it?"""

from throughway.doctor.examination import examine_bundle
from throughway.doctor.sources.bundle import Bundle
from throughway.model.evidence import Evidence, Role

CLIENT = "Role : client\nURL : https://da.example.com/IPHTTPS\nLast Error Code : 0x274c\n"
SERVER = "Role : server\nURL : https://da.example.com/IPHTTPS\nLast Error Code : 0x0\n"
HEALTH = "The configuration was distributed successfully.\n"
TEREDO = "Teredo\n---\nType : client\nClient Port : unspecified\nState : qualified\n"


def computer(name: str) -> str:
    return (
        f"Windows IP Configuration\n\n   Host Name . . . . . . : {name}\n   IP Routing . . : No\n"
    )


def hosts(**files: str) -> list[tuple[str, Role | None]]:
    bundle = Bundle([Evidence(name.replace("__", "/") + ".txt", t) for name, t in files.items()])
    return [(host.name, host.role) for host in examine_bundle(bundle).hosts]


def test_one_machine_has_no_need_of_a_name() -> None:
    assert hosts(a=CLIENT, b=TEREDO) == [("", Role.CLIENT)]
    assert hosts(c1__a=CLIENT, c1__b=TEREDO) == [("", Role.CLIENT)]


def test_a_name_is_read_where_it_is_printed() -> None:
    assert hosts(a=CLIENT, b=computer("PC-7")) == [("PC-7", Role.CLIENT)]


def test_folders_of_topics_are_one_machine() -> None:
    assert hosts(netsh__a=CLIENT, other__b=TEREDO) == [("", Role.CLIENT)]


def test_folders_with_the_same_thing_are_machines() -> None:
    assert hosts(c1__a=CLIENT, c2__a=CLIENT) == [("c1", Role.CLIENT), ("c2", Role.CLIENT)]


def test_client_and_server_are_told_apart_by_content() -> None:
    found = hosts(a=CLIENT, b=SERVER, server_teredo=TEREDO)
    assert found == [("client", Role.CLIENT), ("server", Role.SERVER)]


def test_names_tell_machines_apart_in_one_folder() -> None:
    found = hosts(a=computer("PC-7"), a2=CLIENT, b=computer("EDGE1"), b2=SERVER)
    assert sorted(found, key=str) == [("EDGE1", Role.SERVER), ("PC-7", Role.CLIENT)]


def test_only_one_host_when_it_is_named() -> None:
    bundle = Bundle([Evidence("a.txt", CLIENT), Evidence("b.txt", SERVER)])
    examination = examine_bundle(bundle, host="server")
    assert [host.role for host in examination.hosts] == [Role.SERVER]
    assert examination.diagnosis.findings == ()
