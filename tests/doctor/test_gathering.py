"""Evidence from this machine: complete, bounded, and without a single secret."""

import io
import json
import os
import re
import select
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.linux_incidents import files, found, roots
from throughway.control.codec import JSON
from throughway.doctor.gathering import machine, plan
from throughway.doctor.gathering.bundle import as_bundle, redacted, write
from throughway.doctor.gathering.certificates import certificates
from throughway.doctor.gathering.machine import NotGathered
from throughway.doctor.gathering.plan import Places, gather
from throughway.doctor.gathering.secrets import scrub, secrets_of, without_comments
from throughway.doctor.sources.bundle import read
from throughway.model.errors import ControlError
from throughway.pki.authority import create_root
from throughway.pki.pem import build_certificate_pem, build_key_pem

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----"


# Secrets


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"pasted:\n{KEY}\n", "MC4CAQAwBQYDK2VwBCIEIJ"),
        ("-----BEGIN EC PRIVATE KEY-----\nabcdef (cut off", "abcdef"),
        ('proxy = "http://alice:tr0ub4dor@proxy:3128"', "tr0ub4dor"),
        ('key = "pkcs11:token=x?pin-value=123456"', "123456"),
        ("Proxy-Authorization: Basic YWxpY2U6c2VjcmV0", "YWxpY2U6c2VjcmV0"),
        ('{"password": "tr0ub4dor", "b": 1}', "tr0ub4dor"),
        ("level=info event=x token=abcdef12345", "abcdef12345"),
        ("nt_hash = 8846f7eaee8fb117ad06bdd830b7586c", "8846f7eaee8fb117ad06bdd830b7586c"),
        ('password = "correct, horse"', "horse"),
        ('{"password": "correct {horse"}', "horse"),
        ("password=correct,horse", "horse"),
        ("radius_secret=tr0ub4dor", "tr0ub4dor"),
        ("throughway client join --token=abcdef12345", "abcdef12345"),
        ("throughway client join --token abcdef12345 edge1", "abcdef12345"),
        ("token=/9j+4AAQSkZJRg==", "AAQSkZJRg"),
        ("ticket=YIIFAgYJKoZIhvcSAQICAQBu", "YIIFAgYJ"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, secret: str) -> None:
    assert secret not in scrub(text)
    assert "(removed)" in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        'password_file = "/etc/throughway/account.password"',
        'nt_hash = "/etc/throughway/accounts/client1.nthash"',
        'secret = "radius.secret"',
        '{"ticket": null, "token": ""}',
        '"fix": ["kinit: password of the account"]',
        "throughway client join --token TOKEN",
        "no ticket: expired",
        '"ticket": "valid until tomorrow at noon"',
    ],
)
def test_what_only_names_where_a_secret_is_stays(text: str) -> None:
    assert scrub(text) == text


def test_a_document_stays_one() -> None:
    text = '{"secret": {"a": 1}, "pin": 12345, "token": "abc", "tokens": [1]}'
    assert json.loads(scrub(text)) == {
        "secret": {"a": 1},
        "pin": "(removed)",
        "token": "(removed)",
        "tokens": [1],
    }


def test_a_text_within_a_document_does_not_break_it() -> None:
    text = json.dumps({"line": 'password="a b", token=abc"', "next": "secret=x\\y\nwell"})
    told = json.loads(scrub(text))
    assert not {"a b", "abc"} & set(re.findall(r"a b|abc", told["line"]))
    assert "x" not in told["next"].replace("next", "")
    assert told.keys() == {"line", "next"}


def test_a_known_secret_goes_in_whatever_way_it_is_written(tmp_path: Path) -> None:
    secret = 'pä"ss/wörd'
    (tmp_path / "p").write_text(secret)
    known = list(secrets_of('password_file = "p"\n', tmp_path))
    for shown in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        assert "rd" not in scrub(f"he typed {shown}", known)
    assert "rd" not in scrub("http://x/?p=p%C3%A4%22ss%2Fw%C3%B6rd", known)


def test_the_secrets_of_a_broken_configuration_are_known(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("correct horse\n")
    broken = '[proxy\npassword_file = "p"\n'
    assert list(secrets_of(broken, tmp_path)) == [b"correct horse"]


def test_what_is_known_to_be_secret_goes_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "account.password").write_text("correct horse\n")
    (tmp_path / "one.nthash").write_text("8846f7eaee8fb117ad06bdd830b7586c\n")
    text = 'password_file = "account.password"\n[[computers]]\nnt_hash = "one.nthash"\n'
    known = list(secrets_of(text, tmp_path))
    assert known == [b"correct horse", b"8846f7eaee8fb117ad06bdd830b7586c"]
    told = scrub("he typed correct horse; 8846f7eaee8fb117ad06bdd830b7586c", known)
    assert told == "he typed (removed); (removed)"


def test_comments_of_configurations_are_left_out() -> None:
    assert without_comments('# old: hunter2\na = "b"  \n  # c\n') == 'a = "b"  \n'
    assert without_comments("a = \"b#c\" # hunter2\nb = '#' # x\n") == "a = \"b#c\"\nb = '#'\n"
    assert without_comments("a = [ # hunter2\n1]\n") == "a = [\n1]\n"


# The machine


def test_a_command_that_is_not_there_or_refuses_is_told() -> None:
    with pytest.raises(NotGathered, match="is not installed"):
        machine.run(("throughway-no-such-program",))
    with pytest.raises(NotGathered, match="no way"):
        machine.run(("sh", "-c", "echo no way >&2; exit 1"))
    with pytest.raises(NotGathered, match="longer"):
        machine.run(("sleep", "60"), timeout=0.01)


def test_a_flood_is_cut_off_and_ends() -> None:
    flood = machine.run(("sh", "-c", "echo begin; yes"), timeout=60, limit=1000)
    assert flood.startswith("begin\n")
    assert len(flood) <= 1000
    assert machine.run(("sh", "-c", "head -c 2000000 /dev/zero >&2; echo well"), 60) == "well\n"


def test_who_holds_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(NotGathered, match="longer"):
        machine.run(("sh", "-c", f"sleep 600 & echo $! > {child}; wait"), timeout=1)
    for pid in child.read_text().split() if child.exists() else ():
        until_gone(int(pid))


def until_gone(pid: int) -> None:
    """Wait until a killed process is no more, or only to be reaped."""
    gone = pidfd(pid)
    if gone is not None:
        with os.fdopen(gone, "rb") as handle:
            assert select.select([handle], [], [], 60)[0]


def pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def test_of_too_many_routes_the_wide_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAXIMUM_ENTRIES", 2)
    routes = '[{"dst":"2001:db8::1"},{"dst":"2001:db8::2"},{"dst":"2001:db8::/64"}]'
    kept = json.loads(machine.run_json(("echo", routes)))
    assert [route["dst"] for route in kept] == ["2001:db8::/64", "2001:db8::1"]


def test_of_a_long_journal_the_newest_lines_stay() -> None:
    assert machine.ending("old\nnew\n", 6) == "new\n"
    assert machine.ending("new\n", 6) == "new\n"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "client.toml")
    assert machine.read(tmp_path / "client.toml") == ""


def test_output_is_bounded_at_a_line() -> None:
    assert machine.bounded("ab\ncd\nef\n", 7) == "ab\ncd\n"
    assert machine.bounded("ab\n", 7) == "ab\n"


def test_json_is_a_value_a_line_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAXIMUM_ENTRIES", 2)
    answer = machine.run_json(("echo", '[{"dst":"a"},{},{"dst":"b"},{"dst":"c"}]'))
    assert [entry["dst"] for entry in json.loads(answer)] == ["a", "b"]
    assert len(answer.splitlines()) > 3
    assert machine.run_json(("echo", "[]")).startswith("# throughway collect: ")


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert machine.tail(log, 2, 10_000) == "line 98\nline 99\n"
    assert machine.tail(log, 50, 20) == "line 98\nline 99\n"
    with pytest.raises(NotGathered):
        machine.tail(tmp_path / "none", 1, 1)


def test_settings_are_printed_as_sysctl_does(tmp_path: Path) -> None:
    device = tmp_path / "ipv6" / "conf" / "net0.5"
    device.mkdir(parents=True)
    (device / "forwarding").write_text("1\n")
    assert machine.kernel_settings(tmp_path) == "net.ipv6.conf.net0/5.forwarding = 1\n"
    with pytest.raises(NotGathered):
        machine.kernel_settings(tmp_path / "none")


# Certificates


def test_certificates_are_told_without_their_keys(tmp_path: Path) -> None:
    root = create_root("Root", NOW)
    key = build_key_pem(root.key)
    (tmp_path / "a.crt").write_bytes(build_certificate_pem(root.certificate) + key)
    (tmp_path / "bad.crt").write_text("nothing")
    text = '[iphttps]\ncertificate = "a.crt"\nkey = "a.key"\n[ipsec]\nca = "bad.crt"\n'
    good, bad = certificates(text, tmp_path, "gateway", NOW)
    assert good["setting"] == "iphttps.certificate"
    assert "Root" in good["chain"][0]["subject"]
    assert key.decode().splitlines()[1] not in json.dumps(good)
    assert "no certificate" in bad["why"]
    assert list(certificates("not = [toml", tmp_path, "gateway", NOW)) == []


# All of it


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Return a client whose commands print nothing and whose daemon does not run."""
    monkeypatch.setattr(machine, "run", lambda argv, *_, **__: _refuse(argv))
    (tmp_path / "client.toml").write_text(
        '# hunter2\ncertificate = "c.crt"\nkey = "c.key"\npassword_file = "p"\n'
    )
    (tmp_path / "p").write_text("correct horse\n")
    (tmp_path / "c.key").write_text(KEY)
    (tmp_path / "client.log").write_text("event=x\nsomebody wrote correct horse here\n")
    (tmp_path / "client-events.jsonl").write_text('{"event": 4651}\n')
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.153\n")
    return Places(
        client_config=tmp_path / "client.toml",
        gateway_config=tmp_path / "gateway.toml",
        client_socket=tmp_path / "client.sock",
        gateway_socket=tmp_path / "gateway.sock",
        logs=tmp_path,
        resolv_conf=tmp_path / "resolv.conf",
    )


def _refuse(argv: tuple[str, ...]) -> str:
    raise NotGathered(f"{argv[0]}: not here")


def test_a_daemon_that_is_down_is_found(places: Places) -> None:
    told: list[str] = []
    done = gather(places, network=False, told=told.append, now=NOW)
    assert roots(found(done.files)) == ["client-not-running"]
    assert "nft list ruleset" in done.missing
    assert "nft list ruleset" in told
    whole = json.dumps(done.files)
    for secret in ("hunter2", "correct horse", "MC4CAQ"):
        assert secret not in whole
    manifest = json.loads(done.files["manifest.json"])
    assert manifest["roles"] == ["client"]
    assert {row["what"] for row in manifest["missing"]} == set(done.missing)
    assert {row["file"] for row in manifest["commands"]} == set(done.files) - {"manifest.json"}


def test_a_daemon_that_answers_speaks_for_itself(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = json.loads(files("port-443-blocked", "client1")["client-status.json"])
    looks: list[tuple[str, ...]] = []

    def seen(argv: tuple[str, ...]) -> str:
        looks.append(argv)
        raise NotGathered("no network")

    def answer(path: Path, command: str, **_: object) -> JSON:
        return dict(status)

    monkeypatch.setattr(plan, "ask", answer)
    monkeypatch.setattr(plan, "_seen", seen)
    assert roots(found(gather(places, now=NOW).files)) == ["iphttps-port-blocked"]
    assert [argv[3] for argv in looks] == ["netcheck", "probe"]
    looks.clear()
    status |= {"connection": "connected-remotely", "problems": [], "components": []}
    assert roots(found(gather(places, now=NOW).files)) == []
    assert looks == []


def test_who_may_not_ask_is_told_so(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, command: str, **_: object) -> JSON:
        raise ControlError(f"{path}: Permission denied")

    monkeypatch.setattr(plan, "ask", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = gather(places, network=False, now=NOW)
    assert done.missing["throughway client status --json"].endswith("run as root")
    (daemon, _) = json.loads(done.files["daemons.json"])["daemons"]
    assert daemon["answers"] is None
    assert roots(found(done.files)) == []


def test_a_gateway_that_looks_for_long_still_speaks(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = json.loads(files("forwarding-disabled", "edge1")["gateway-status.json"])

    def answer(path: Path, command: str, **_: object) -> JSON:
        if command == "look":
            raise ControlError("no answer in 30 s")
        return dict(status)

    places.client_config.rename(places.gateway_config)
    monkeypatch.setattr(plan, "ask", answer)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    done = gather(places, network=False, now=NOW)
    assert "iphttps-forwarding-disabled" in roots(found(done.files))
    assert "gateway-not-running" not in roots(found(done.files))


# The archive


def test_an_archive_is_one_s_own_and_is_read_as_what_it_holds(tmp_path: Path) -> None:
    bundle = files("port-443-blocked", "client1")
    target = tmp_path / "a.tar.gz"
    size = write(bundle, "client1", target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert size == target.stat().st_size
    with tarfile.open(target) as archive:
        assert {member.mode for member in archive} == {0o600}
    shown = [item.text for item in read([target]).evidence]
    assert shown == [item.text for item in as_bundle(bundle).evidence]
    with pytest.raises(FileExistsError):
        write(bundle, "client1", target)


def test_an_archive_that_could_not_be_written_whole_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", fail)
    with pytest.raises(OSError, match="No space"):
        write({"a": "b"}, "", tmp_path / "a.tar.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("incident", "host"),
    [
        ("port-443-blocked", "client1"),
        ("forwarding-disabled", "edge1"),
        ("gateway-stopped", "edge1"),
        ("well", "edge1"),
    ],
)
def test_what_is_redacted_has_the_same_diagnosis_and_no_names(incident: str, host: str) -> None:
    bundle = files(incident, host)
    shared = redacted(bundle, host, b"key")
    assert roots(found(shared)) == roots(found(bundle))
    whole = json.dumps(shared)
    assert "131.107.0.2" not in whole
    assert "corp.example.com" not in whole
    assert list(shared) == list(bundle)


def test_what_is_no_document_is_redacted_as_text() -> None:
    assert "131.107.0.2" not in redacted({"a.json": "cut off: 131.107.0.2"}, "")["a.json"]
    assert io.StringIO(redacted({"a.txt": "x\ny\n"}, "")["a.txt"]).read() == "x\ny\n"
