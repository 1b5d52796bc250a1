"""The collecting script: it reads everything that the parsers read, and changes nothing."""

import importlib
import json
import pkgutil
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

import throughway.model.facts
from throughway.doctor.collecting import script
from throughway.doctor.examination import examine
from throughway.doctor.gathering import machine
from throughway.doctor.gathering.plan import COLLECTION, Places, gather
from throughway.doctor.rules import RULES
from throughway.model.evidence import Platform
from throughway.model.facts.base import Fact, Host

SCRIPT = script("windows")
EVIDENCE = Path(__file__).parent.parent / "evidence"
LINUX = Path(__file__).parent.parent / "linux_evidence"
PLACEHOLDER = re.compile(r"\b(HOST|SERVER|DC|CERTIFICATE|CRL_FILE)\b")
BY_HAND = ("netsh trace", "etl2pcapng", "ms-settings:")
"""What changes something, or what only a person can do."""
CHANGING = re.compile(
    r"netsh(\.exe)?\s[^|\n}]*\b(set|add|delete|reset|import|start|stop)\b"
    r"|\b(Set|Stop|Restart|Start|Enable|Disable|Clear|Register|Install|Uninstall|Update|Add|New"
    r"|Remove)-(Net|DA|Dns|Service|Item|Content|Process|RemoteAccess|Event|Firewall|Policy)\w*"
    r"|\breg(\.exe)?\s+(add|delete|import)|\bsc(\.exe)?\s+(config|start|stop|create|delete)"
    r"|auditpol\s+/set|certutil\s[^|\n}]*-(delstore|addstore|repairstore|setreg)|gpupdate"
    r"|wevtutil(\.exe)?\s+(cl|sl)\b|-urlcache\s+\S+\s+delete",
    re.IGNORECASE,
)


def kinds(base: type[Fact] = Fact) -> Iterator[type[Fact]]:
    for module in pkgutil.iter_modules(throughway.model.facts.__path__):
        importlib.import_module(f"throughway.model.facts.{module.name}")
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def flat(text: str) -> str:
    return " ".join(text.replace('"', "").lower().split())


def test_it_is_powershell() -> None:
    tree = Parser(Language(tree_sitter_powershell.language())).parse(SCRIPT.encode())

    def errors(node: Node) -> Iterator[str]:
        if node.type == "ERROR" or node.is_missing:
            yield f"line {node.start_point[0] + 1}: {node.text!r:.80}"
        for child in node.children:
            yield from errors(child)

    assert list(errors(tree.root_node)) == []
    assert not tree.root_node.has_error


def test_powershell_5_reads_it_in_any_code_page_and_knows_its_words() -> None:
    assert SCRIPT.isascii()
    assert "\t" not in SCRIPT
    for newer in ("??", "?.", " && ", " || ", "-Parallel", "ForEach-Object -P", "clean {"):
        assert newer not in SCRIPT


def commands(*, of_linux: bool) -> list[str]:
    """Return what the questions of that platform name."""
    asked = [kind for kind in kinds() if (kind.PLATFORM is Platform.LINUX) is of_linux]
    return sorted({command for kind in asked for command in kind.COLLECT})


@pytest.mark.parametrize("command", commands(of_linux=False))
def test_it_runs_every_command_that_a_question_names(command: str) -> None:
    if command.startswith(BY_HAND):
        return
    words = flat(PLACEHOLDER.split(command)[0]).removesuffix("| format-list *").strip()
    words = words.removesuffix("| format-list").strip()
    if words.startswith("reg query"):
        words = words.removeprefix("reg query ").split(" /v ")[0]
    if words.startswith("sc query"):
        words = f"'{words.removeprefix('sc query ')}'"
    if words.startswith("wevtutil qe "):
        words = f"'{words.split()[2]}'"
    words = {"net view \\\\": "", "tracert -d": "", "certutil -dump": ""}.get(words, words)
    assert words in flat(SCRIPT)


@pytest.mark.parametrize("command", sorted({*commands(of_linux=True)} - {COLLECTION}))
def test_on_linux_all_that_a_question_names_is_gathered(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(
        client_config=tmp_path / "client.toml",
        gateway_config=tmp_path / "gateway.toml",
        client_socket=tmp_path / "client.sock",
        gateway_socket=tmp_path / "gateway.sock",
        logs=tmp_path,
    )
    places.client_config.touch()
    places.gateway_config.touch()
    monkeypatch.setattr(machine, "run", lambda argv, *_, **__: "")
    done = gather(places, network=False)
    tried = {*done.commands.values(), *done.missing}
    assert command.replace("/etc/throughway", str(tmp_path)) in tried


def test_on_linux_all_that_rules_need_is_read_from_what_is_gathered() -> None:
    needs = (need for rule in RULES if rule.platform is Platform.LINUX for need in rule.needs())
    kinds_needed = {kind for need in needs for kind in need.kinds if kind is not Host}
    bundles = [folder for folder in LINUX.glob("*/*") if folder.is_dir()]
    read = {
        type(fact) for b in bundles for part in examine([b]).reading.read for fact in part.facts
    }
    assert kinds_needed - read == set()


def test_it_changes_nothing() -> None:
    allowed = ("New-Item -ItemType Directory -Path $Folder", "Remove-Item -LiteralPath $Folder")
    body = SCRIPT
    for words in allowed:
        assert words in body
        body = body.replace(words, "")
    assert [match[0] for match in CHANGING.finditer(body)] == []


@pytest.mark.parametrize(
    "line",
    [
        "netsh interface teredo set state disabled",
        "Set-NetFirewallProfile -Enabled False",
        "Restart-Service iphlpsvc",
        "reg add HKLM\\X",
        "certutil -urlcache CRL delete",
    ],
)
def test_a_change_would_be_seen(line: str) -> None:
    assert CHANGING.search(line)


def test_no_private_key_is_taken() -> None:
    assert re.findall(r"X509ContentType\]::(\w+)", SCRIPT) == ["Cert"]
    assert "exportPFX" not in SCRIPT
    assert "PrivateKey." not in SCRIPT
    assert "Auth1PSK" not in SCRIPT or "(removed)" in SCRIPT


def test_an_unknown_system() -> None:
    with pytest.raises(ValueError, match="windows"):
        script("macos")


def saved_names() -> list[tuple[str, str]]:
    """Return name and command of everything that is saved with a fixed name."""
    return re.findall(r"^\s*Save-Output '([^']+)' \{ (.+) \}$", SCRIPT, re.MULTILINE)


def test_names_are_of_one_file_each() -> None:
    names = [name.lower() for name, _ in saved_names()]
    assert len(names) > 50
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)


def test_the_doctor_reads_such_a_zip(tmp_path: Path) -> None:
    """As Windows PowerShell 5.1 on an older .NET writes it: with backslashes, and a manifest."""
    tunnel = (
        EVIDENCE / "iphttps-port-blocked" / "fires" / "commands" / "httpstunnel.txt"
    ).read_text()
    name, command = next(pair for pair in saved_names() if "httpstunnel" in pair[0])
    manifest = {
        "collection": "throughway doctor --collect windows",
        "version": 1,
        "computer": "PC1",
        "started": "2026-01-02T03:04:05.1234567+01:00",
    }
    path = tmp_path / "directaccess-PC1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.txt", f"PS C:\\> {command}\r\n{tunnel}")
        archive.writestr("manifest.json", json.dumps(manifest, indent=4))
        archive.writestr("sub\\empty.txt", "")
    examination = examine([path])
    (found,) = examination.diagnosis.findings
    assert found.finding.problem.code == "iphttps-port-blocked"
    assert [host.name for host in examination.hosts] == ["PC1"]
    assert not any("manifest" in file for file in examination.reading.unrecognised)
