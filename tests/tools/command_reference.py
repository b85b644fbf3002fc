"""The command line as a page of documentation, read from its own parser."""

import argparse
from collections.abc import Iterator

from meshd.cli.app import parser


def command_reference() -> str:
    """Return docs/reference/commands.md."""
    return "\n".join(["# Commands", "", *_commands()])


def _commands() -> Iterator[str]:
    top = parser()
    # argparse keeps its actions and subparsers private, and offers nothing else to read them by.
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in sorted(action.choices.items()):
                yield from _section(f"meshd {name}", command)


def _section(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    usage = " ".join(command.format_usage().removeprefix("usage: ").split())
    yield from [f"## {name}", "", f"    {usage}", "", command.description or "", ""]
    rows = [action for action in command._actions if action.dest != "help"]
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
