"""What a killed client leaves: seen, kept, taken away, put back."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from throughway.net import firewall, netlink, resolvconf
from throughway.net.firewall import ClientFirewall
from throughway.net.resolvconf import ResolvConf
from throughway.remedies import leftovers

WALLS = ClientFirewall(prefixes=("2001:db8:c0::/48",))


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\n")
    assert not leftovers.names(tmp_path, path)
    ResolvConf(tmp_path, "127.0.0.153", path).take()
    assert leftovers.names(tmp_path, path)
    taken = path.read_text()
    kept = json.loads(json.dumps(leftovers.keep(tmp_path, path)))
    resolvconf.restore(tmp_path, path)
    assert not leftovers.names(tmp_path, path)
    assert leftovers.put_back(kept, tmp_path, path).startswith(str(path))
    assert path.read_text() == taken
    resolvconf.restore(tmp_path, path)
    assert path.read_text() == "nameserver 192.0.2.53\n"


def test_nothing_is_put_back_where_nothing_was(tmp_path: Path) -> None:
    assert leftovers.put_back({}, tmp_path, tmp_path / "resolv.conf") == ""
    assert leftovers.put_back(None, tmp_path, tmp_path / "resolv.conf") == ""


def _rules() -> None:
    assert not leftovers.rules()
    with tempfile.TemporaryDirectory() as folder:
        state, path = Path(folder), Path(folder) / "resolv.conf"
        firewall.close_client(WALLS)
        listed = run("nft", "list", "table", "inet", firewall.CLIENT_TABLE)
        assert leftovers.rules()
        kept = json.loads(json.dumps(leftovers.keep(state, path)))
        firewall.open_client()
        assert not leftovers.rules()
        assert firewall.CLIENT_TABLE in leftovers.put_back(kept, state, path)
        assert run("nft", "list", "table", "inet", firewall.CLIENT_TABLE) == listed
        assert firewall.client_closed(WALLS)
        assert firewall.CLOSED_RULE in netlink.rules()
        assert leftovers.put_back(kept, state, path) == ""


@pytest.mark.lab
def test_rules() -> None:
    in_namespace(_rules)
