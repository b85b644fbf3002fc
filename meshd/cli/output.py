"""All printing: data to standard output, talk to standard error; colour only on a terminal."""

import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any

from meshd.diagnostics.model import Diagnostic
from meshd.settings import from_environment

NAME_COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green")
_CODES = (36, 32, 33, 34, 35, 96, 92)


def name_colour(name: str) -> int:
    """Return which of the colours a name has, wherever it is printed."""
    return zlib.crc32(name.encode()) % len(NAME_COLOURS)


def painted(name: str) -> str:
    """Return a name in its colour, for terminals."""
    return f"\x1b[{_CODES[name_colour(name)]}m{name}\x1b[0m"


def is_colourful(stream: IO[str]) -> bool:
    """Whether the stream is a terminal that wants colour (https://no-color.org)."""
    return stream.isatty() and from_environment().wants_colour


def say(text: str) -> None:
    """Print talk to standard error."""
    print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print data to standard output."""
    print(text, flush=True)


def show_json(value: Any) -> None:
    """Print data as JSON to standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def report(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], style: str) -> None:
    """Print diagnostics: as text to standard error, or as JSON to standard output."""
    listed = tuple(diagnostics)
    if style != "json" and not listed:
        return
    from meshd.diagnostics.render import as_json, as_text

    if style == "json":
        show(as_json(listed))
    else:
        say(as_text(listed, sources, colour=is_colourful(sys.stderr)))


def abandon_output() -> None:
    """Send what is still to be written nowhere, so that the interpreter can end in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, hint: str = "") -> None:
    """Print an error that has no place in a file."""
    say(f"error: {message}" + (f"\nhint: {hint}" if hint else ""))
