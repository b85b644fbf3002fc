"""The parser of the command line: what a word may be, and what was meant by one that may not."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from meshd.diagnostics.suggest import closest

Arguments = argparse.Namespace
Command = Callable[[Arguments], int]


class UsageError(Exception):
    """The command line cannot be understood."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, and knows what was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise the usage error, with the name that comes nearest to a wrong one."""
        choice = re.fullmatch(
            r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message
        )
        if choice is None:
            raise UsageError(message, f"see `{self.prog} --help`")
        argument, word, known = choice.groups()
        near = closest(word, re.findall(r"[\w-]+", known))
        what = "a command" if argument == "COMMAND" else f"a value of `{argument}`"
        hint = f"did you mean `{near}`?" if near else f"known: {known.replace(chr(39), '')}"
        raise UsageError(f"`{word}` is not {what}", hint)


class Group:
    """Commands that share their first words."""

    def __init__(self, parser: Parser) -> None:
        self._commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(self, name: str, run: Command, text: str) -> Parser:
        """Add a command; its text is a sentence."""
        made = self._made(name, text)
        made.set_defaults(run=run)
        return made

    def group(self, name: str, text: str) -> "Group":
        """Add commands below a name."""
        return Group(self._made(name, text))

    def _made(self, name: str, text: str) -> Parser:
        brief = text[0].lower() + text[1:].rstrip(".")
        made: Parser = self._commands.add_parser(
            name, help=brief, description=text, allow_abbrev=False
        )
        return made


def add_paths(command: Parser) -> None:
    """Take manifests."""
    command.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="manifest files or folders; `-` is standard input",
    )


def add_tool(command: Parser) -> None:
    """Take the tool that a command is about."""
    command.add_argument("tool", metavar="TOOL", help="AGENT.TOOL, or NAMESPACE/AGENT.TOOL")


def add_format(command: Parser, text: str = "how to print (text)") -> None:
    """Take how a report is printed."""
    command.add_argument("--format", choices=("text", "json"), default="text", help=text)


def add_state_dir(command: Parser) -> None:
    """Take the state directory of the daemon that a command is about."""
    command.add_argument(
        "--state-dir",
        type=Path,
        default=Path(".meshd"),
        metavar="FOLDER",
        help="where the daemon keeps its state (.meshd)",
    )


def add_duration(command: Parser, option: str, default: str, text: str) -> None:
    """Take a duration such as `30s`."""
    command.add_argument(option, default=default, metavar="DURATION", help=f"{text} ({default})")


def add_allow(command: Parser) -> None:
    """Take what may be imported."""
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="what may be imported besides meshd.toml, such as `trip.*`; may be given again",
    )


def add_flag(command: Parser, option: str, text: str) -> None:
    """Take an option without a value."""
    command.add_argument(option, action="store_true", help=text)


def add_verbose(command: Parser) -> None:
    """Take `-v`."""
    command.add_argument("-v", "--verbose", action="store_true", help="log more")
