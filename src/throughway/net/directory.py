"""Ask Active Directory, in a process of its own that is ended when it takes too long.

The other half is :mod:`throughway.net.directory_process`.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable
from typing import Any

from throughway.model.config import DirectoryConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError, TrustError
from throughway.proto.access import Account, Answer, Group

TIMEOUT = 15.0
"""Seconds for one answer, whatever happens; a third of the minute in which the lost are cut."""
MAX_ANSWER = 64 * 1024 * 1024
"""Octets of one line; of 20,000 computers it has 12 million."""
UNREACHABLE = "directory-unreachable"
COMMAND = (sys.executable, "-P", "-m", "throughway.net.directory_process")
"""-P: nothing is imported from the directory where the daemon happens to have been started."""


class Directory:
    """The process, started when first asked, and again after it has ended."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._settings = {
            "domain": config.domain,
            "servers": config.servers,
            "base": config.base,
            "principal": f"{config.principal}@{config.realm}",
            "keytab": str(config.keytab),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def ask(
        self,
        accounts: Iterable[str],
        groups: Iterable[str],
        *,
        computers_of: Iterable[str] = (),
    ) -> Answer:
        """Look accounts up, and groups with all nested in them; one question for all.

        ``computers_of`` names groups all computers of which are wanted. Raises TransportError
        when no domain controller answers, TrustError for what is wrong with our credentials or
        its answer; each has its ``problem``.
        """
        question = {
            "accounts": sorted(set(accounts)),
            "groups": list(groups),
            "computers_of": list(computers_of),
        }
        async with self._one:
            try:
                async with asyncio.timeout(TIMEOUT):
                    said = await self._exchange(question)
            except (TimeoutError, OSError, ValueError, TypeError) as error:
                await self._end()
                reason = "no answer in time" if isinstance(error, TimeoutError) else repr(error)
                raise TransportError(Stage.CONNECT, reason, problem=UNREACHABLE) from None
            except BaseException:  # cancelled between question and answer: the next must not get it
                await self._end()
                raise
        if "problem" in said:
            raise _error(said["problem"], said.get("reason", ""))
        return parse_answer(said)

    async def close(self) -> None:
        """End the process."""
        async with self._one:
            await self._end()

    async def _exchange(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MAX_ANSWER,
            )
            self._write(self._settings)
        self._write(question)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise OSError("the process that asks has ended; is python-ldap installed?")
        said = json.loads(line)
        if not isinstance(said, dict):
            raise TypeError("an answer that is no table")
        return said

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


def parse_answer(said: dict[str, Any]) -> Answer:
    """Return what the process has said, in the words of the judge."""
    groups = tuple(
        Group(name=g["name"], dn=g["dn"], sid=g["sid"], groups=_folded(g["groups"]))
        for g in said["groups"]
    )
    accounts = {
        a["name"].casefold(): Account(
            name=a["name"],
            dn=a["dn"],
            sid=a["sid"],
            control=a["control"],
            computed=a["computed"],
            expires=a["expires"],
            groups=_folded(a["groups"]),
            primary_group=a["primary_group"],
            host_name=a["host_name"],
            workstations=tuple(a["workstations"]),
        )
        for a in said["accounts"]
    }
    return Answer(accounts=accounts, groups=groups, server=str(said.get("server", "")))


def _folded(dns: Iterable[str]) -> frozenset[str]:
    return frozenset(dn.casefold() for dn in dns)


def _error(problem: str, reason: str) -> ThroughwayError:
    if problem == UNREACHABLE:
        return TransportError(Stage.CONNECT, reason, problem=problem)
    return TrustError(reason, problem=problem)
