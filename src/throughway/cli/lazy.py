"""Commands that are imported when they are called, so that none pays for what another one needs."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command


class Lazy(NamedTuple):
    """A command that is not imported yet."""

    module: str
    """Of ``throughway.cli``, with an ``app`` or a function ``register`` that takes one."""
    help: str
    arguments: tuple[str, ...] = ()
    """Further ones for ``register``."""


def group_of(commands: Mapping[str, Lazy]) -> type[TyperGroup]:
    """Return the class of a group that imports those of its commands that are called."""

    class LazyGroup(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's types are private
            if args and args[0] in commands:
                self.commands[args[0]] = load(args[0], commands[args[0]])
            return super().resolve_command(ctx, args)

    return LazyGroup


def list_in(app: typer.Typer, commands: Mapping[str, Lazy]) -> None:
    """Have the help of a group list commands that are not imported."""
    for name, lazy in commands.items():
        app.command(name, help=lazy.help)(lambda: None)


def load(name: str, lazy: Lazy) -> Any:  # noqa: ANN401 - typer's types are private
    """Import a command or a group of commands."""
    module = importlib.import_module(f"throughway.cli.{lazy.module}")
    if hasattr(module, "app"):
        return get_command(module.app)
    group = typer.Typer()
    # Two commands at least: with one only, typer makes no group.
    group.command("")(lambda: None)
    module.register(group, *lazy.arguments)
    command = get_command(group)
    assert isinstance(command, TyperGroup)
    return command.commands[name]
