"""`${env:NAME}` and `${file:path}` in scalar values, after YAML is read.

`${env:NAME:-default}` takes the default where the variable is unset or empty, and
`${env:NAME:?message}` refuses both. `$${` is a literal `${`, a bare `$X` is literal, keys are left
alone, and what was supplied is not interpolated again. No supplied value gets into a diagnostic.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from meshd.diagnostics.model import Diagnostic, Span
from meshd.manifest.nodes import Mapping, Node, Scalar, Sequence, Source
from meshd.manifest.paths import joined
from meshd.manifest.values import Broken, Later, Supplied

_PART = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?\Z", re.DOTALL)
_FORMS = "write `${env:NAME}`, `${env:NAME:-default}` or `${file:path}`; `$${` is a literal `${`"


class Mode(StrEnum):
    """What becomes of an input that is not there: it may come later, or it must be there now."""

    LATER = "later"
    NOW = "now"


class InputKind(StrEnum):
    """Where an input comes from."""

    ENV = "env"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Input:
    """One use of an environment variable or file in a manifest."""

    kind: InputKind
    name: str
    default: str | None
    required: bool
    span: Span
    is_set: bool


class NotReadable(Exception):
    """A file may not or cannot be read; the message is the reason."""


class Inputs(Protocol):
    """Where values come from."""

    def variable(self, name: str) -> str | None:
        """Return an environment variable, or None."""
        ...

    def text_of(self, path: str, folder: str) -> str | None:
        """Return the text of a file named in a manifest of the folder; None if it is not there.

        Raises:
            NotReadable: it is outside of the project, or no text.

        """
        ...

    def is_file(self, path: str) -> bool:
        """Say whether there is a file at an absolute path, wherever that is."""
        ...


class Interpolation:
    """Turns nodes into plain values, and keeps what was asked for and what is wrong."""

    def __init__(self, inputs: Inputs, mode: Mode) -> None:
        self.asked: list[Input] = []
        self.diagnostics: list[Diagnostic] = []
        self.files: dict[str, None] = {}
        """The files that were looked for, by their whole paths."""
        self._inputs = inputs
        self._mode = mode
        self._shared: dict[int, Any] = {}

    def value_of(self, node: Node) -> Any:
        """Return dicts, lists and scalars; a node that aliases repeat is converted once."""
        if node.is_shared:
            if id(node) not in self._shared:
                self._shared[id(node)] = self._converted(node)
            return self._shared[id(node)]
        return self._converted(node)

    def ask_for_variable(self, name: str, span: Span) -> None:
        """Note that an environment variable is needed when the mesh runs, but not its value."""
        is_set = self._inputs.variable(name) is not None
        self.asked.append(Input(InputKind.ENV, name, None, True, span, is_set))

    def ask_for_file(self, name: str, whole: str, span: Span) -> None:
        """Note that a file is needed when the mesh runs, but not its text."""
        self.files[whole] = None
        is_set = self._inputs.is_file(whole)
        self.asked.append(Input(InputKind.FILE, name, None, True, span, is_set))

    def _converted(self, node: Node) -> Any:
        # The depth of nodes is bounded by the reader, so recursion is safe here.
        if isinstance(node, Scalar):
            value = node.value
            return self._filled(node) if value.__class__ is str and "${" in value else value
        if isinstance(node, Mapping):
            return {key: self.value_of(child) for key, child in node.entries.items()}
        if isinstance(node, Sequence):
            return [self.value_of(child) for child in node.items]
        raise TypeError(node)

    def _filled(self, node: Scalar) -> str:
        parts: list[str] = []
        is_supplied = is_later = False
        known = len(self.diagnostics)
        position = 0
        text: str = node.value
        for match in _PART.finditer(text):
            parts.append(text[position : match.start()])
            position = match.end()
            if match[0] == "$${":
                parts.append("${")
                continue
            is_supplied = True
            found = self._supplied(match[1], node, match)
            if found is None:
                is_later = True
            else:
                parts.append(found)
        if is_later:
            return Broken(text) if len(self.diagnostics) > known else Later(text)
        parts.append(text[position:])
        return Supplied("".join(parts)) if is_supplied else "".join(parts)

    def _supplied(self, body: str | None, node: Scalar, whole: re.Match[str]) -> str | None:
        """Return the text, or None if it comes later or an error was reported."""
        span = span_of(node, whole)
        if body is not None and (match := _ENV.match(body)):
            return self._variable(match, span)
        if body is not None and body.startswith("file:") and body[5:].strip():
            return self._file(body[5:], node.source, span)
        message = "`${` without a `}`" if body is None else f"`${{{body}}}` is no interpolation"
        self._report("M150", message, span, _hint(body))
        return None

    def _variable(self, match: re.Match[str], span: Span) -> str | None:
        name, operator, rest = match[1], match[2], match[3]
        value = self._inputs.variable(name)
        is_set = value is not None and (bool(value) or operator is None)
        default = rest if operator == ":-" else None
        self.asked.append(Input(InputKind.ENV, name, default, default is None, span, is_set))
        if is_set:
            return value
        if default is None and self._mode is Mode.NOW:
            said = rest if operator == ":?" else ""
            state = "not set" if value is None else "empty"
            message = f"the environment variable `{name}` is {state}"
            self._report("M151", message, span, f"set `{name}`", said)
        return default

    def _file(self, path: str, source: Source, span: Span) -> str | None:
        self.files[joined(source.folder, path)] = None
        try:
            text = self._inputs.text_of(path, source.folder)
        except NotReadable as reason:
            self._report("M152", f"`{path}` cannot be read", span, "", str(reason))
            return None
        self.asked.append(Input(InputKind.FILE, path, None, True, span, text is not None))
        if text is None and self._mode is Mode.NOW:
            self._report("M152", f"there is no file `{path}`", span, "paths start at this file")
        return text

    def _report(self, code: str, message: str, span: Span, hint: str, label: str = "") -> None:
        self.diagnostics.append(
            Diagnostic(code=code, message=message, span=span, hint=hint, label=label)
        )


def span_of(node: Scalar, match: re.Match[str]) -> Span:
    """Return the place of a match in a scalar; all of it where its text is not as written."""
    line = node.source.lines[node.start.line]
    column = line.find(match[0], node.start.column)
    if column < 0:
        return node.span
    return node.source.span_at(node.start.line, column, len(match[0]))


def _hint(body: str | None) -> str:
    if body is not None and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", body):
        return f"write `${{env:{body}}}`; `$${{` is a literal `${{`"
    return _FORMS
