"""The catalogue as a whole: every entry is complete, unique, honest about commands, acyclic."""

import re
import shlex
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tests.catalogue.test_reachable import live
from throughway import catalogue
from throughway.catalogue import MODULES, PROBLEMS, find
from throughway.catalogue.on_windows.advice import ADVICE
from throughway.cli.main import app
from throughway.model.findings import Component, Problem

SOURCE = Path(catalogue.__file__).parent.parent
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
PROGRAMS = {
    *("throughway", "systemctl", "journalctl", "timedatectl", "resolvectl", "sysctl", "modprobe"),
    *("ip", "ss", "ping", "nft", "curl", "dig", "getent", "openssl", "update-ca-certificates"),
    *("kinit", "klist", "kvno", "kpasswd", "samba-tool", "apt-get", "cat", "ls", "grep"),
    "pkcs11-tool",
    *("df", "findmnt"),
}
WINDOWS_PROGRAMS = {
    *("netsh", "reg", "ipconfig", "certutil", "gpupdate", "gpresult", "nltest", "nslookup", "ping"),
    *("sc", "net", "shutdown", "slmgr", "dfsrmig", "w32tm", "auditpol", "wevtutil", "systeminfo"),
    *("start", "tracert", "route", "klist"),
}
CMDLET = re.compile(r"[A-Z][a-z]+-[A-Z][A-Za-z0-9]+")
PLACEHOLDERS = {
    *(
        "HOST",
        "PORT",
        "URL",
        "PROXY",
        "INTERFACE",
        "ENDPOINT",
        "CERTIFICATE",
        "KEY",
        "CRL_URL",
        "OCSP_URL",
    ),
    *("CRL_FILE", "NLS_URL", "POLICY_URL", "DNS", "DC", "REALM", "USER", "SERVICE", "KEYTAB"),
    *("GATEWAY_ACCOUNT", "COMPUTER", "FOLDER", "MODULE", "TOKEN"),
    *(
        "INDEX",
        "THUMBPRINT",
        "SERVER",
        "GPO",
        "GROUP",
        "NAME",
        "ADDRESS",
        "ZONE",
        "PREFIX",
        "DOMAIN",
        "PATH",
    ),
}
WORDS = {
    *("SRV", "ALL", "HKLM", "SYSTEM", "SOFTWARE", "TCPIP", "IPHTTPS", "HTTPS", "CRL", "TLS"),
    *("CA", "IP", "NT", "IIS", "OCSP", "NULL", "CLSID", "TLS_RSA_WITH_NULL_SHA", "AAAA"),
}
"""Words in capitals that are meant as they stand."""
ALL = [problem for module in MODULES for problem in module.PROBLEMS]
RELEASED = (Path(__file__).parent / "released-codes.txt").read_text().split()


def of_windows(command: str) -> bool:
    program = command.split()[0]
    return program in WINDOWS_PROGRAMS - {"ping"} or bool(CMDLET.fullmatch(program))


def commands() -> list[str]:
    return sorted({command for problem in ALL for command in (*problem.fix, *problem.verify)})


def advised() -> list[str]:
    return sorted({command for a in ADVICE.values() for command in (*a.fix, *a.verify)})


def test_codes_are_unique_and_found() -> None:
    assert len(ALL) == len(PROBLEMS)
    assert all(find(problem.code) is problem for problem in ALL)


def test_an_unknown_code_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        find("no-such-problem")


@pytest.mark.parametrize("code", RELEASED)
def test_a_released_code_stays(code: str) -> None:
    assert code in PROBLEMS


@pytest.mark.parametrize("problem", ALL, ids=lambda p: p.code)
def test_an_entry_is_complete(problem: Problem) -> None:
    assert KEBAB.fullmatch(problem.code)
    assert isinstance(problem.component, Component)
    assert problem.title
    assert not problem.title.endswith(".")
    for text in (problem.cause, problem.resolution):
        assert re.fullmatch(r"[A-Z(a-z].*[.)]", text), text
        assert "  " not in text
    assert problem.fix or problem.verify
    assert 0 <= problem.visible_after <= 60


def test_nothing_follows_from_itself() -> None:
    graph = {p.code: {root.code for root in p.depends_on} for p in ALL}
    assert set(TopologicalSorter(graph).static_order()) == set(PROBLEMS)


def test_every_root_is_in_the_catalogue() -> None:
    assert all(find(root.code) is root for p in ALL for root in p.depends_on)


def test_every_component_of_a_connection_has_problems() -> None:
    assert {p.component for p in ALL} == set(Component)


@pytest.mark.parametrize("command", sorted({*commands(), *advised()}))
def test_a_command_can_be_typed(command: str) -> None:
    program = shlex.split(command, posix=False)[0]
    assert program in PROGRAMS or of_windows(command)
    assert not re.search(r"[<>|;&`$]", command)
    assert set(re.findall(r"\b[A-Z][A-Z_]+\b", command)) <= PLACEHOLDERS | WORDS


@pytest.mark.parametrize("command", advised())
def test_advice_for_windows_is_typed_on_windows(command: str) -> None:
    assert of_windows(command) or command.startswith(("ping ", "throughway doctor "))


@pytest.mark.parametrize("code", sorted(live()))
def test_what_our_daemons_say_is_typed_on_linux(code: str) -> None:
    for command in (*PROBLEMS[code].fix, *PROBLEMS[code].verify):
        assert not of_windows(command) or command.split()[0] == "klist"
        assert not re.match(r"ping .*-[fl]\b", command)


@pytest.mark.parametrize("code", sorted(ADVICE))
def test_advice_is_complete(code: str) -> None:
    said = ADVICE[code]
    assert code in PROBLEMS
    for text in (said.cause, said.resolution):
        assert re.fullmatch(r"[A-Z(a-z0-9].*[.)]", text), text
        assert "  " not in text
    assert said.fix or said.verify


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("throughway ")])
def test_our_own_commands_exist_with_these_options(command: str) -> None:
    group = get_command(app)
    words = shlex.split(command)[1:]
    while isinstance(group, TyperGroup):
        context = group.make_context("throughway", list(words), resilient_parsing=True)
        name, found, words = group.resolve_command(context, words)
        assert found is not None
        group = found
    assert group.make_context(str(name), words).command is group


def test_every_problem_that_the_code_names_is_in_the_catalogue() -> None:
    named = re.compile(r"problem=\"([^\"]+)\"")
    codes = {
        (code, module.name)
        for module in SOURCE.rglob("*.py")
        for code in named.findall(module.read_text())
    }
    assert {(code, name) for code, name in codes if code not in PROBLEMS} == set()


def test_every_problem_of_the_tables_of_causes_is_in_the_catalogue() -> None:
    code = re.compile(r"\(\"((?:ipsec|kerberos)-[a-z-]+)\", ")
    codes = {
        c
        for name in ("causes", "kerberos")
        for c in code.findall((SOURCE / f"net/{name}.py").read_text())
    }
    assert len(codes) > 10
    assert codes - PROBLEMS.keys() == set()
