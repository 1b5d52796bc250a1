"""A daemon that answers as it is told, on a real control socket, in a thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE
from throughway.control.codec import JSON, Command, to_json
from throughway.control.server import ControlServer, Request, unknown_command

Answer = Callable[[Command], object]


class FakeDaemon:
    """Keeps the commands it got; ``answers`` maps a command to what answers it."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.commands: list[Command] = []

    async def handle(self, request: Request) -> JSON:
        self.commands.append(request.command)
        answer = self.answers.get(request.command.name)
        if answer is None:
            raise unknown_command(request)
        return to_json(answer(request.command))

    @contextmanager
    def serving(self, path: Path) -> Iterator[Path]:
        """Serve on ``path`` while the context lasts."""
        ready = threading.Event()
        stop: list[Callable[[], object]] = []

        async def serve() -> None:
            server = ControlServer(path, self.handle)
            await server.start()
            stopped = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(stopped.set))
            ready.set()
            await stopped.wait()
            await server.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield path
        finally:
            stop[0]()
            thread.join()
