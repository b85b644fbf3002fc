"""Lines that instances print: from bytes to text that is safe to show, and as a log file has them.

An instance must not steer the terminal of whoever reads its output, now or later: sequences for
terminals are taken out, other control characters and those that reorder text are made visible.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from meshd.diagnostics.render import escaped

MAX_LINE_BYTES = 16 * 1024
"""A longer line is cut into several."""

SUFFIX = ".log"
OLDER_SUFFIX = ".log.1"

_END = re.compile(rb"\r*\n|\r+")
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links, device strings
    r"|\x1b[ -/]*[0-~]"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that an instance printed, fit to be shown; the time is when it was read, in ms."""

    instance: str
    at: datetime
    text: str


class LineSplitter:
    """Makes lines of what comes in pieces.

    A carriage return ends a line too: progress bars are seen as they grow, and hide nothing.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._after_return = False

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete."""
        if self._after_return:
            data = data.removeprefix(b"\n")
        self._after_return = data.endswith(b"\r") or (self._after_return and not data)
        *lines, rest = _END.split(self._rest + data)
        *cut, self._rest = _cut(rest)
        return [shown(part) for line in lines for part in _cut(line)] + [shown(p) for p in cut]

    def end(self) -> list[str]:
        """Return what is left; nothing comes any more."""
        rest, self._rest = self._rest, b""
        return [shown(rest)] if rest else []


def shown(line: bytes) -> str:
    """Return a line as text that a terminal can be given."""
    text = line.decode("utf-8", "replace")
    if text.isascii() and text.isprintable():
        return text
    return "\t".join(escaped(part) for part in _SEQUENCE.sub("", text).split("\t"))


def stored(line: LogLine) -> bytes:
    """Return the line as a log file has it."""
    stamp = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp} {line.text}\n".encode()


def restored(instance: str, stored_line: bytes) -> LogLine | None:
    """Return the line that was stored, or None if it is none."""
    stamp, _, text = stored_line.decode("utf-8", "replace").partition(" ")
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return None if at.tzinfo is None else LogLine(instance, at, text)


def to_milliseconds(at: datetime) -> datetime:
    """Return the time as a log file can tell it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def file_name(instance: str, suffix: str = SUFFIX) -> str:
    """Return the name of an instance's log; the instance may have any name."""
    return quote(instance, safe="") + suffix


def instance_of(name: str) -> str | None:
    """Return the instance whose current log has the name, or None if it is no log."""
    return unquote(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None


def _cut(line: bytes) -> Iterator[bytes]:
    """Yield parts that are not too long; characters stay whole."""
    start = 0
    while len(line) - start > MAX_LINE_BYTES:
        end = start + MAX_LINE_BYTES
        for _ in range(3):
            if line[end] & 0xC0 == 0x80:
                end -= 1
        yield line[start:end]
        start = end
    yield line[start:]
