"""The command line as a page of documentation, read from the commands themselves."""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from meshd.cli.app import app


def command_reference() -> str:
    """Return docs/reference/commands.md."""
    return "\n".join(["# Commands", "", *_sections(get_command(app), "meshd")])


def _sections(command: object, name: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for part, below in sorted(command.commands.items()):
            yield from _sections(below, f"{name} {part}")
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield from _section(command, name)


def _section(command: TyperCommand, name: str) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from [f"## {name}", "", f"    {name} {pieces}", "", command.help or "", ""]
    rows = [row for each in command.params if (row := each.get_help_record(context))]
    if rows:
        yield from ["| option | meaning |", "|---|---|"]
        yield from (f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in rows)
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
