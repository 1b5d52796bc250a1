"""Telling clients why they were refused: each of its own certificate, and nobody else."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.health_faults import statement
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.client import reasons as client
from throughway.control.codec import decode_line, encode_line, from_json, to_json
from throughway.gateway import reasons as module
from throughway.gateway.reasons import QUESTIONS, UNKNOWN, ReasonsServer
from throughway.model.audit import Reason
from throughway.model.errors import TransportError
from throughway.model.statement import MAX_STATEMENT, Failing, Judged, StatementOfHealth
from throughway.net import privileges
from throughway.net.audit import MAX_VALUE
from throughway.net.exchange import Asked
from throughway.net.fetch import fetch
from throughway.net.tls import Credentials, client_context
from throughway.pki.authority import Credential, Profile, create_root, issue
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.proto.access import Withheld

NOW = datetime.now(UTC)
ROOT = create_root("Test Root", NOW - timedelta(days=365))
OTHER_ROOT = create_root("Other Root", NOW - timedelta(days=365))
GATEWAY = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=NOW)
WRONG = Reason(age=1.0, tunnel="infrastructure", problem="ipsec-cert-expired", reason="too old")


def computer(name: str, root: Credential = ROOT, age: int = 0) -> Credential:
    now = NOW - timedelta(days=age)
    return issue(root, Profile.COMPUTER, [f"{name}.corp.example.com"], now=now, days=30)


def thumbprint(credential: Credential) -> str:
    return sha256(credential.certificate.public_bytes(Encoding.DER)).hexdigest()


def pem(credential: Credential) -> str:
    return build_certificate_pem(credential.certificate).decode()


def withheld(name: str) -> Withheld | None:
    if name.startswith("client"):
        return None
    return Withheld("access-group-missing", f"{name} is in no group")


def server(
    told: Mapping[str, Sequence[Reason]],
    port: int = 0,
    on_trouble: Callable[[str], None] = print,
    judge: Callable[[bytes, StatementOfHealth], Judged] | None = None,
) -> ReasonsServer:
    credentials = Credentials(
        certificate=pem(GATEWAY), key=build_key_pem(GATEWAY.key).decode(), client_ca=pem(ROOT)
    )
    return ReasonsServer(
        ("::1", port),
        credentials,
        reasons_of=lambda mine: tuple(told.get(mine, ())),
        withheld=withheld,
        judge=judge,
        on_trouble=on_trouble,
    )


def test_what_is_told_is_cut_and_printable() -> None:
    long = Reason(age=1.0, tunnel="x", problem="y", reason="a\x1b[2J\n" + "b" * 1000)
    (reason,) = server({"mine": [long]}).answer("mine", ("client1",), 0.0)
    assert reason.reason.isprintable()
    assert len(reason.reason) == MAX_VALUE + 1


def test_nobody_is_told_of_another() -> None:
    assert server({"mine": [WRONG]}).answer("yours", ("client1",), 0.0) == ()


def test_a_computer_that_may_not_come_in_is_told_why() -> None:
    """It is refused before it shows a certificate, so nothing is known by that."""
    (reason,) = server({}).answer("mine", ("stranger.example.com",), 0.0)
    assert (reason.problem, reason.tunnel, reason.age) == ("access-group-missing", "", 0.0)
    assert reason.reason == "stranger.example.com is in no group"
    # An older refusal stays, the newest is the one that a client takes.
    both = server({"mine": [WRONG]}).answer("mine", ("stranger.example.com",), 0.0)
    assert client.chosen(both, "infrastructure", 10.0) == reason
    names = ("stranger.example.com", "client1")
    assert server({}).answer("mine", names, 0.0) == (), "one of its names may"


def test_a_certificate_without_a_name_is_told_so() -> None:
    (reason,) = server({}).answer("mine", (), 0.0)
    assert reason.problem == UNKNOWN


def test_who_asks_too_often_hears_nothing() -> None:
    asked = server({"mine": [WRONG]})
    answers = [asked.answer("mine", ("client1",), 1.0) for _ in range(QUESTIONS + 5)]
    assert answers.count(()) == 5
    assert asked.answer("yours", (), 1.0) != ()
    assert asked.answer("mine", ("client1",), 100.0) == (WRONG,)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[[int, Credential | None], Awaitable[tuple[Reason, ...]]]:
    """Ask as a computer does."""

    async def asked(port: int, credential: Credential | None) -> tuple[Reason, ...]:
        certificate = key = None
        if credential is not None:
            certificate, key = tmp_path / "computer.crt", tmp_path / "computer.key"
            certificate.write_text(pem(credential))
            key.write_bytes(build_key_pem(credential.key))
        context = client_context(
            anchors=[pem(ROOT)], system=False, certificate=certificate, key=key
        )

        async def resolve(_name: str) -> Sequence[str]:
            return ("::1",)

        url = f"https://da.example.com:{port}{client.PATH}"
        return client.parse(await fetch(url, tls=context, resolve=resolve))

    return asked


def test_a_process_that_is_nobody_answers_over_tls(
    ask: Callable[[int, Credential | None], Awaitable[tuple[Reason, ...]]],
) -> None:
    mine, expired = computer("client1"), computer("client1", age=60)
    told = {thumbprint(mine): [WRONG], thumbprint(expired): [WRONG]}
    troubles: list[str] = []
    port = free_port()

    async def scenario() -> None:
        served = server(told, port, troubles.append)
        served.start()
        async with asyncio.timeout(PATIENCE):
            while not troubles:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        assert troubles == [""]
        try:
            assert await ask(port, mine) == (WRONG,)
            # That it has expired may be just what its owner is to hear.
            assert await ask(port, expired) == (WRONG,)
            assert await ask(port, computer("client2")) == ()
            for nobody in (None, computer("client1", OTHER_ROOT)):
                with pytest.raises(TransportError):
                    await ask(port, nobody)
            assert privileges.permitted(served.pid) == frozenset()
        finally:
            await served.stop()
        assert served.pid == 0

    asyncio.run(scenario())


def test_a_port_that_is_taken_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.01))
    troubles: list[str] = []

    async def scenario() -> None:
        taken = await asyncio.start_server(lambda *_: None, "::1", 0)
        port = taken.sockets[0].getsockname()[1]
        served = server({}, port, troubles.append)
        served.start()
        async with asyncio.timeout(PATIENCE):
            while len(troubles) < 2:  # noqa: ASYNC110 - of the task
                await asyncio.sleep(0.01)
            taken.close()
            await taken.wait_closed()
            while "" not in troubles:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        await served.stop()

    asyncio.run(scenario())
    assert "in use" in troubles[0]


def test_a_process_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.05)
    # A machine at work may let it wait; one that is stopped never answers, however long it is.
    monkeypatch.setattr(module, "HUNG_AFTER", 40)
    troubles: list[str] = []

    async def heard(count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(troubles) < count:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)

    async def scenario() -> tuple[int, int]:
        served = server({}, free_port(), troubles.append)
        served.start()
        await heard(1)
        first = served.pid
        os.kill(first, signal.SIGSTOP)
        await heard(3)
        second = served.pid
        await served.stop()
        return first, second

    first, second = asyncio.run(scenario())
    assert first != second
    assert troubles == ["", "it did not answer 40 times", ""]


def test_health_is_judged_over_tls_and_what_is_no_statement_is_refused(tmp_path: Path) -> None:
    mine, troubles, port = computer("client1"), list[str](), free_port()
    heard: list[tuple[bytes, StatementOfHealth]] = []
    failing = Judged(healthy=False, enforced=True, failing=(Failing(name="updates", words="old"),))

    def judged(certificate: bytes, stated: StatementOfHealth) -> Judged:
        heard.append((certificate, stated))
        return failing

    async def scenario() -> tuple[bytes, list[str]]:
        served = server({}, port, troubles.append, judged)
        served.start()
        async with asyncio.timeout(PATIENCE):
            while not troubles:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        certificate, key = tmp_path / "computer.crt", tmp_path / "computer.key"
        certificate.write_text(pem(mine))
        key.write_bytes(build_key_pem(mine.key))
        context = client_context(
            anchors=[pem(ROOT)], system=False, certificate=certificate, key=key
        )

        async def resolve(_name: str) -> Sequence[str]:
            return ("::1",)

        async def post(body: bytes) -> bytes:
            url = f"https://da.example.com:{port}/health"
            asked = Asked(method="POST", body=body)
            return await fetch(url, asked, tls=context, resolve=resolve)

        errors = []
        for bad in (b"", b"{}", b"x" * (MAX_STATEMENT + 1)):
            with pytest.raises(TransportError) as caught:
                await post(bad)
            errors.append(str(caught.value))
        answer = await post(encode_line(to_json(statement())))
        await served.stop()
        return answer, errors

    answer, errors = asyncio.run(scenario())
    assert from_json(Judged, decode_line(answer)) == failing
    assert ["answers 400" in error for error in errors] == [True, True, False]
    assert heard == [(mine.certificate.public_bytes(Encoding.DER), statement())]


def test_statements_are_limited_too() -> None:
    asked = server({})
    refused = [asked.judge(b"mine", statement(), 1.0).refused for _ in range(QUESTIONS + 5)]
    assert len([words for words in refused if words]) == 5
