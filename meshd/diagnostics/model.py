"""Diagnostics as values: code, place, message, hint.

Goes in: nothing but plain values. Comes out: frozen dataclasses that every stage returns and only
`render` and the command line turn into text. Nothing here reads a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a diagnostic weighs: an error stops the stage that follows, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of one line of a file; lines and columns count from 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a diagnostic speaks of, with what stands there."""

    span: Span
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One fact that is wrong, at one place, with one action that mends it.

    `message` stands alone: lower case, no full stop, code in backticks. `label` stands under the
    caret. `detail` is shown verbatim below (a user's traceback).
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    hint: str = ""
    severity: Severity = Severity.ERROR
    related: tuple[Related, ...] = ()
    detail: str = ""


def in_file_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by file, line and column, then code; what has no place comes last; drop repeats."""
    end = Span("\U0010ffff", 0, 0, 0)
    ordered = sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span or end, d.code, d.message))
    return tuple(ordered)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Say whether any of the diagnostics is an error."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
