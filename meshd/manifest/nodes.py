"""YAML nodes with their places: what the reader makes and every later step points at.

A node is a scalar, a sequence or a mapping. Places are computed when they are asked for, because
few nodes of a valid manifest ever need one. Nothing here reads a file.
"""

import re
from functools import cached_property
from typing import Any, Protocol

from meshd.diagnostics.model import Span

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Mark(Protocol):
    """A place in a text as the YAML parser gives it; lines and columns count from 0."""

    line: int
    column: int


class Source:
    """The text of one manifest file and the folder that its relative paths start from."""

    def __init__(self, file: str, text: str, folder: str = "") -> None:
        self.file = file
        self.text = text
        self.folder = folder

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines without their breaks."""
        return _LINE_BREAK.split(self.text)

    def span(self, start: Mark, end: Mark) -> Span:
        """Return the stretch between two marks, cut at the end of the first line."""
        line, column = start.line, start.column
        if end.line == line:
            stop = end.column
        else:
            text = self.lines[line] if line < len(self.lines) else ""
            stop = max(len(text.rstrip()), column)
        return Span(self.file, line + 1, column + 1, stop + 1)

    def span_at(self, line: int, column: int, length: int = 1) -> Span:
        """Return a stretch by line and column, which count from 0."""
        return Span(self.file, line + 1, column + 1, column + 1 + length)


class Node:
    """What all nodes have: where they stand and how much they hold once aliases are expanded."""

    __slots__ = ("end", "height", "is_shared", "size", "source", "start")

    def __init__(self, source: Source, start: Mark, end: Mark) -> None:
        self.source = source
        self.start = start
        self.end = end
        self.size = 1
        self.height = 0
        self.is_shared = False

    @property
    def span(self) -> Span:
        """Where the node stands."""
        return self.source.span(self.start, self.end)


class Scalar(Node):
    """A value: None, bool, IntText, FloatText or str."""

    __slots__ = ("value",)

    def __init__(self, source: Source, start: Mark, end: Mark, value: Any) -> None:
        # Set one by one: a call of the parent's would cost a tenth of the time to read a file.
        self.source = source
        self.start = start
        self.end = end
        self.size = 1
        self.height = 0
        self.is_shared = False
        self.value = value


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, source: Source, start: Mark, end: Mark) -> None:
        super().__init__(source, start, end)
        self.items: list[Node] = []


class Mapping(Node):
    """A mapping; each entry keeps the node of its key."""

    __slots__ = ("entries", "keys")

    def __init__(self, source: Source, start: Mark, end: Mark) -> None:
        super().__init__(source, start, end)
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Scalar] = {}


Step = str | int


def find(node: Node, *path: Step) -> Node | None:
    """Return the node at the path, or None."""
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            node = node.entries[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def key_span(node: Node, *path: Step) -> Span:
    """Return the place of the last step's key, or of the nearest thing above it that exists."""
    place = _own_span(node)
    for step in path:
        child = find(node, step)
        if child is None:
            return place
        if isinstance(node, Mapping) and isinstance(step, str):
            place = node.keys[step].span
        else:
            place = _own_span(child)
        node = child
    return place


def value_span(node: Node, *path: Step) -> Span:
    """Return the place of the value at the path; of its key where the value is left empty."""
    child = find(node, *path)
    if child is None or is_empty(child):
        return key_span(node, *path)
    return child.span


def is_empty(node: Node) -> bool:
    """Say whether nothing is written for the value."""
    if not isinstance(node, Scalar) or node.value is not None:
        return False
    span = node.span
    return span.column == span.end_column


def _own_span(node: Node) -> Span:
    """Return where a node begins to say something: the first key of a mapping."""
    if isinstance(node, Mapping) and node.keys:
        return next(iter(node.keys.values())).span
    return node.span
