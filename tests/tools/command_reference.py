"""The command line as a page of documentation, read from its own parser."""

import argparse
from collections.abc import Iterator, Mapping
from typing import cast

from meshd.cli.app import parser

Command = argparse.ArgumentParser


def command_reference() -> str:
    """Return docs/reference/commands.md."""
    return "\n".join(["# Commands", "", *_commands()])


def _commands() -> Iterator[str]:
    for name, command in _below("meshd", parser()):
        yield from _section(name, command)


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    """Yield the commands that have no commands below them."""
    # argparse keeps its actions private, and offers nothing else to read them by.
    groups = [action for action in command._actions if action.nargs == argparse.PARSER]
    if not groups:
        yield name, command
    for group in groups:
        commands = cast("Mapping[str, Command]", group.choices)
        for word, below in sorted(commands.items()):
            yield from _below(f"{name} {word}", below)


def _section(name: str, command: Command) -> Iterator[str]:
    usage = " ".join(command.format_usage().removeprefix("usage: ").split())
    yield from [f"## {name}", "", f"    {usage}", "", command.description or "", ""]
    rows = [
        action
        for action in command._actions
        if action.dest != "help" and action.help != argparse.SUPPRESS
    ]
    if rows:
        yield from ["| argument | meaning |", "|---|---|"]
        yield from (f"| `{_cell(_name(row))}` | {_cell(row.help or '')} |" for row in rows)
        yield ""


def _name(action: argparse.Action) -> str:
    value = action.metavar or "|".join(map(str, action.choices or ()))
    value = "" if action.nargs == 0 else str(value)
    return f"{', '.join(action.option_strings)} {value}".strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
