"""The machine we run on."""

from pathlib import Path

import pytest

from throughway.model.errors import ControlError
from throughway.remedies.machine import ThisMachine, setting


def test_settings(tmp_path: Path) -> None:
    for name in ("all", "eth0.5"):
        folder = tmp_path / "net" / "ipv6" / "conf" / name
        folder.mkdir(parents=True)
        (folder / "forwarding").write_text("0\n")
    machine = ThisMachine(settings=tmp_path)
    assert machine.interfaces() == ("all", "eth0.5")
    assert setting("eth0.5", "forwarding") == "net.ipv6.conf.eth0/5.forwarding"
    for name in machine.interfaces():
        assert machine.get(setting(name, "forwarding")) == "0"
        machine.set(setting(name, "forwarding"), "1")
        assert machine.get(setting(name, "forwarding")) == "1"
    assert machine.get("net.ipv6.conf.absent.forwarding") is None
    assert ThisMachine(settings=tmp_path / "absent").interfaces() == ()


def test_our_commands() -> None:
    assert ThisMachine().run(("throughway", "version")).startswith("throughway ")


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    machine = ThisMachine({"THROUGHWAY_GATEWAY_SOCKET": str(tmp_path / "none.sock")})
    with pytest.raises(ControlError, match=r"gateway mend ike: .*none\.sock"):
        machine.run(("throughway", "gateway", "mend", "ike"))


def test_time_goes_on() -> None:
    machine = ThisMachine()
    before = machine.now()
    machine.sleep(0.001)
    assert machine.now() > before
