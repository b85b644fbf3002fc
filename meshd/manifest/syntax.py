"""The YAML parser's complaints in plain words.

In: the exception that PyYAML raised. Out: one diagnostic with the place, and the place where the
thing that was being read began.
"""

from typing import Any

import yaml

from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.manifest.nodes import Source

_QUOTE = "quote a value that holds `: `, or check the indentation"
_BLOCK_END = "the indentation fits nothing above, or a quote or bracket is missing"
_OUTSIDE = "check the indentation, or begin another document with `---`"

_BEGUN = {
    "block mapping": "the mapping",
    "block collection": "the list",
    "block sequence": "the list",
    "flow mapping": "the `{`",
    "flow sequence": "the `[`",
    "plain scalar": "the value",
    "quoted scalar": "the quoted text",
    "block scalar": "the text",
}

_WORDS: tuple[tuple[str, str, str], ...] = (
    # What the parser says, what we say, the hint. The first that is found counts.
    ("mapping values are not allowed", "a `:` is not expected here", _QUOTE),
    ("expected ',' or '}'", "`,` or `}` is missing before this", "close the `{`"),
    ("expected ',' or ']'", "`,` or `]` is missing before this", "close the `[`"),
    ("expected '-' indicator", "an item of the list should begin with `- ` here", _BLOCK_END),
    ("expected <block end>", "this does not fit what stands before it", _BLOCK_END),
    ("did not find expected key", "this does not fit what stands before it", _BLOCK_END),
    ("could not find expected ':'", "a key without `:`", "write `key: value`"),
    ("expected ':'", "a key without `:`", "write `key: value`"),
    ("node content", "a value is missing here", "write a value, or quote the character"),
    ("expected the node content", "a value is missing here", ""),
    ("document start", "this stands outside of the document", _OUTSIDE),
    ("unknown escape", "there is no such escape in double quotes", "write `\\\\` for a backslash"),
    ("block sequence entries", "a list cannot begin here", "begin it on a new line"),
    ("not allowed in this context", "this is not expected here", _BLOCK_END),
    ("duplicate %YAML", "`%YAML` is there twice", "remove it"),
)


def syntax_problem(source: Source, error: yaml.YAMLError) -> Diagnostic:
    """Return what is wrong with the text."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Diagnostic(code="M105", message="the file is not YAML", label=str(error))
    mark: Any = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    span = None if mark is None else _place(source, mark)
    character = _at(source, span)
    if character == "\t" or "tab" in problem:
        hint = "indent with spaces"
        span = _tab(source, span)
        return Diagnostic(code="M105", message="a tab cannot indent", span=span, hint=hint)
    if "cannot start any token" in problem:
        message = f"a value cannot begin with {_quoted(character)}"
        hint = "put the value in quotes"
    elif "unexpected end of stream" in problem or "document indicator" in problem:
        # What matters is where the quote was opened, not where the file ends.
        message, hint = "the quote is never closed", "close the quote"
        opened = error.context_mark or mark
        return Diagnostic(code="M105", message=message, span=_place(source, opened), hint=hint)
    else:
        message, hint = next(
            ((words, hint) for said, words, hint in _WORDS if said in problem),
            (problem[:1].lower() + problem[1:], ""),
        )
    return Diagnostic(
        code="M105",
        message=message,
        span=span,
        hint=hint,
        related=_begun(source, error, span),
    )


def _begun(source: Source, error: yaml.MarkedYAMLError, span: Span | None) -> tuple[Related, ...]:
    mark: Any = error.context_mark
    if mark is None or not error.context:
        return ()
    begun = _place(source, mark)
    if span is not None and begun.line == span.line:
        return ()
    for said, what in _BEGUN.items():
        if said in error.context:
            return (Related(begun, f"{what} begins here"),)
    return ()


def _place(source: Source, mark: Any) -> Span:
    """Return the place of a mark; one at the end of the text is put behind the last line."""
    lines = source.lines
    line: int = mark.line
    column: int = mark.column
    while line > 0 and (line >= len(lines) or (line == len(lines) - 1 and not lines[line])):
        line = min(line, len(lines)) - 1
        column = len(lines[line])
    return source.span_at(line, column)


def _quoted(character: str) -> str:
    return "a backtick" if character == "`" else f"`{character}`"


def _at(source: Source, span: Span | None) -> str:
    if span is None:
        return ""
    return source.lines[span.line - 1][span.column - 1 : span.column]


def _tab(source: Source, span: Span | None) -> Span | None:
    """Return the place of the first tab that indents the line."""
    if span is None:
        return None
    line = source.lines[span.line - 1]
    column = line.find("\t")
    return span if column < 0 else source.span_at(span.line - 1, column)
