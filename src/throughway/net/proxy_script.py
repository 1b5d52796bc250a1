"""Run a PAC script (FindProxyForURL) in a process of its own, which can do nothing else.

The process asks the daemon for names, since it has no network; both sides speak JSON, a line
each. QuickJS (1 MiB) is loaded there alone.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Resolve

MAXIMUM_SCRIPT = 1 << 20
"""Bytes; browsers take as much. Large networks have 100 KiB."""
SCRIPT_TIME = 5.0
"""Seconds for all of it, names included."""
LOOK_UP_TIME = 2.0
"""Seconds for one name."""
MAXIMUM_RESULT = 4096
"""Characters of what a script returns."""
UNUSABLE = "proxy-script-unusable"
_MEMORY = 64 << 20
"""Bytes of the script's own objects."""
_STACK = 1 << 20


async def find_proxy(
    script: str, host: str, port: int, *, resolve: Resolve, addresses: Sequence[str] = ()
) -> str:
    """Return what the script says of ``https://host:port/``, such as ``PROXY a:8080; DIRECT``.

    Raises :exc:`TransportError` when it fails, or runs for too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "throughway.net.proxy_script"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=2 * MAXIMUM_RESULT,
        )
    except OSError as error:
        raise _unusable(f"cannot be run: {error.strerror}") from error
    authority = f"[{host}]" if ":" in host else host
    question = {
        "script": script,
        "url": f"https://{authority}/" if port == 443 else f"https://{authority}:{port}/",
        "host": host,
        "addresses": list(addresses),
        "wall_time": time.time(),
        "zone": time.localtime().tm_gmtoff,
    }
    try:
        async with asyncio.timeout(SCRIPT_TIME):
            return await _talk(process, question, resolve)
    except TimeoutError:
        raise _unusable(f"takes longer than {SCRIPT_TIME:g} s") from None
    except (ValueError, TypeError, RecursionError, ConnectionError) as error:
        # Whatever comes out of there is a stranger's.
        raise _unusable("takes too long or too much memory") from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        _close(process)


def _close(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()


async def _talk(
    process: asyncio.subprocess.Process, question: dict[str, object], resolve: Resolve
) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    while True:
        answer = json.loads(await process.stdout.readline())
        if "result" in answer:
            return str(answer["result"])
        if "error" in answer:
            raise _unusable(str(answer["error"]))
        found = await _look_up(str(answer["resolve"]), resolve)
        process.stdin.write(json.dumps(found).encode() + b"\n")


async def _look_up(name: str, resolve: Resolve) -> list[str]:
    try:
        async with asyncio.timeout(LOOK_UP_TIME):
            return list(await resolve(name))
    except (TransportError, OSError, ValueError):
        return []


def _unusable(why: str) -> TransportError:
    return TransportError(Stage.PROXY, f"the proxy script {why}", problem=UNUSABLE)


def run_script(question: dict[str, Any], resolve: Any) -> str:  # noqa: ANN401 - JSON
    """Run it here; raises ValueError with what is wrong with the script."""
    import quickjs

    from throughway.proto.proxy.script import Functions, Surroundings

    context = quickjs.Context()
    context.set_memory_limit(_MEMORY)
    context.set_max_stack_size(_STACK)
    around = Surroundings(
        resolve=resolve,
        addresses=tuple(question["addresses"]),
        wall_time=question["wall_time"],
        zone=question["zone"],
    )
    for name, function in Functions(around).table().items():
        context.add_callable(name, function)
    try:
        context.eval(question["script"])
        find = context.get("FindProxyForURL")
        result = find(question["url"], question["host"]) if callable(find) else None
    except quickjs.JSException as error:
        words = str(error).split("\n", 1)[0]
        raise ValueError(f"fails: {words if words != 'null' else 'out of memory'}") from error
    if not isinstance(result, str):
        raise ValueError("does not return a text from FindProxyForURL")
    return result[:MAXIMUM_RESULT]


def _main() -> None:
    """Answer one question: the other half of :func:`find_proxy`."""
    import quickjs  # noqa: F401 - before nothing can be opened any more

    from throughway.net import proxy_sandbox
    from throughway.proto.proxy import script  # noqa: F401 - the same

    given, told = sys.stdin.buffer, sys.stdout.buffer
    question = json.loads(given.readline())
    proxy_sandbox.enter()

    def say(answer: object) -> None:
        told.write(json.dumps(answer).encode() + b"\n")
        told.flush()

    def resolve(name: str) -> list[str]:
        say({"resolve": name})
        return [str(address) for address in json.loads(given.readline())]

    try:
        say({"result": run_script(question, resolve)})
    except ValueError as error:
        say({"error": str(error)[:MAXIMUM_RESULT]})


if __name__ == "__main__":
    _main()
