"""Diagnostics to text with the source line and a caret, and to JSON; both are pure.

Control characters in what users wrote are escaped, so that a manifest cannot steer a terminal;
tabs become spaces, and a long line is cut to what stands around the caret. Legible without colour.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping

from meshd.diagnostics.model import Diagnostic, Severity, Span

MAX_WIDTH = 120
"""Columns of a source line that are shown."""

_BEFORE = 40
_TAB = "    "
_BREAK = re.compile(r"\r\n|\r|\n")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_CODE = {Severity.ERROR: "1;31", Severity.WARNING: "1;33"}


def as_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, colour: bool = False
) -> str:
    """Return a report for people: each diagnostic with its line, then how many there are.

    `sources` are the texts of files by the names that spans carry; other files show no line.
    """
    listed = tuple(diagnostics)
    report = _Report(sources, colour=colour)
    blocks = [report.block(diagnostic) for diagnostic in listed]
    return "\n\n".join([*blocks, summary(listed)]) if blocks else ""


def as_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return a report for programs; its shape is stable (docs/reference/diagnostics.md)."""
    return json.dumps({"diagnostics": as_values(diagnostics)}, indent=2, ensure_ascii=False)


def as_values(diagnostics: Iterable[Diagnostic]) -> list[dict[str, str | int | None]]:
    """Return the entries of a report for programs."""
    return [
        {
            "code": diagnostic.code,
            "severity": diagnostic.severity.value,
            "message": diagnostic.message,
            "file": diagnostic.span.file if diagnostic.span else None,
            "line": diagnostic.span.line if diagnostic.span else None,
            "column": diagnostic.span.column if diagnostic.span else None,
            "hint": diagnostic.hint,
        }
        for diagnostic in diagnostics
    ]


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Return how many errors and warnings there are, such as `2 errors, 1 warning in 3 files`."""
    listed = tuple(diagnostics)
    files = {diagnostic.span.file for diagnostic in listed if diagnostic.span}
    counts = [
        _counted(sum(diagnostic.severity is severity for diagnostic in listed), severity.value)
        for severity in Severity
    ]
    text = ", ".join(count for count in counts if count) or "no errors"
    return f"{text} in {_counted(len(files), 'file')}" if files else text


def escaped(text: str) -> str:
    """Return the text with control characters, and those that reorder text, made visible."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class _Report:
    """Writes blocks over the same sources."""

    def __init__(self, sources: Mapping[str, str], *, colour: bool) -> None:
        self._sources = sources
        self._lines: dict[str, list[str]] = {}
        self._colour = colour

    def block(self, diagnostic: Diagnostic) -> str:
        colour = _CODE[diagnostic.severity]
        head = self._paint(f"{diagnostic.severity.value}[{diagnostic.code}]", colour)
        lines = [f"{head}: {self._paint(escaped(diagnostic.message), '1')}"]
        if diagnostic.span:
            lines += self._place("-->", diagnostic.span, diagnostic.label, colour)
        elif diagnostic.label:
            lines.append(f"  {escaped(diagnostic.label)}")
        for related in diagnostic.related:
            lines += self._place(":::", related.span, related.label, "36")
        if diagnostic.detail:
            lines += ["", *(f"    {escaped(line)}" for line in _lines(diagnostic.detail))]
        if diagnostic.hint:
            lines += ["", f"{self._paint('hint', '36')}: {escaped(diagnostic.hint)}"]
        return "\n".join(lines)

    def _place(self, arrow: str, span: Span, label: str, colour: str) -> list[str]:
        where = f"  {self._paint(arrow, '34')} {escaped(span.file)}:{span.line}:{span.column}"
        source = self._line(span)
        if source is None:
            return [where, *([f"  {escaped(label)}"] if label else [])]
        shown, offset, width = _excerpt(source, span)
        number = str(span.line)
        bar = self._paint("|", "34")
        caret = self._paint("^" * width + (f" {escaped(label)}" if label else ""), colour)
        return [
            where,
            f"{self._paint(number, '34')} {bar} {shown}".rstrip(),
            f"{' ' * len(number)} {bar} {' ' * offset}{caret}",
        ]

    def _line(self, span: Span) -> str | None:
        if span.file not in self._sources:
            return None
        if span.file not in self._lines:
            self._lines[span.file] = _lines(self._sources[span.file])
        lines = self._lines[span.file]
        text = lines[span.line - 1] if 0 < span.line <= len(lines) else ""
        return text or None

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _excerpt(line: str, span: Span) -> tuple[str, int, int]:
    """Return what to show of a line, the column of the caret in it and how wide it is."""
    start = min(span.column - 1, len(line))
    end = max(min(span.end_column - 1, len(line)), start)
    # More characters than columns are never shown, so a long line costs no more than a short one.
    first, last = max(0, start - MAX_WIDTH), min(len(line), end + MAX_WIDTH)
    before = _visible(line[first:start])
    marked = _visible(line[start : min(end, start + MAX_WIDTH)])
    text = marked + _visible(line[end:last])
    has_end = last == len(line) and end - start <= MAX_WIDTH
    if first > 0 or not has_end or _width(before + text) > MAX_WIDTH:
        if len(before) > _BEFORE:
            before = "…" + before[-_BEFORE:]
        room = MAX_WIDTH - _width(before)
        if len(text) > room or not has_end:
            text = f"{text[:room]}…"
        marked = text[: len(marked)]
    return before + text, _width(before), max(_width(marked), 1)


def _visible(text: str) -> str:
    return escaped(text.replace("\t", _TAB))


def _width(text: str) -> int:
    """Return how many columns a terminal gives the text."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _lines(text: str) -> list[str]:
    return _BREAK.split(text)


def _counted(count: int, noun: str) -> str:
    if not count:
        return ""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
