"""YAML events to node trees, without recursion and within limits.

PyYAML's own composer recurses in C and dies on deep nesting; this one keeps its own stack, stops
at MAX_DEPTH and counts what aliases expand to. What can be read on after is reported and passed
over (a tag, a duplicate key); what cannot raises `Refused`.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml

from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.diagnostics.suggest import closest
from meshd.diagnostics.text import shortened
from meshd.manifest.core_schema import NotANumber, value_of
from meshd.manifest.nodes import Mapping, Node, Scalar, Sequence, Source
from meshd.manifest.values import Broken

MAX_DEPTH = 64
MAX_NODES = 100_000
"""Keys and values of one file, aliases expanded."""

MAX_PROBLEMS = 100
"""Where a file has more, the rest of it is not read."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Refused(Exception):
    """The rest of the file cannot be read; `diagnostic` says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Open:
    """A collection that is still being read, with the key whose value comes next."""

    __slots__ = ("anchor", "before", "has_key", "key", "node")

    def __init__(self, node: Mapping | Sequence, anchor: str | None, before: int) -> None:
        self.node = node
        self.anchor = anchor
        self.before = before
        self.has_key = False
        self.key: Scalar | None = None


class Composer:
    """Builds the documents of one file from parser events."""

    def __init__(self, source: Source) -> None:
        self.documents: list[Node] = []
        self.diagnostics: list[Diagnostic] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | Span] = {}
        self._count = 0

    def run(self, next_event: Callable[[], Any]) -> None:
        """Read all events.

        Raises:
            Refused: a limit is reached, or an alias cannot be followed.
            yaml.YAMLError: the text is not YAML.

        """
        actions: dict[type[Any], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._finish,
            yaml.SequenceEndEvent: self._finish,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        while (event := next_event()) is not None:
            action = actions.get(event.__class__)
            if action is not None:
                action(event)
            elif event.__class__ is yaml.StreamEndEvent:
                return
            if len(self.diagnostics) >= MAX_PROBLEMS:
                raise self._too_bad(event)

    def _document(self, event: Any) -> None:
        self._anchors = {}
        if event.tags:
            self._report("M106", "tags are not allowed", self._span(event), "remove `%TAG`")
        if event.version and tuple(event.version) != (1, 2):
            text = ".".join(map(str, event.version))
            message = f"manifests are YAML 1.2, not {text}"
            self._report("M106", message, self._span(event), "remove the `%YAML` line")

    def _scalar(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._too_many(event)
        if event.tag is not None:
            self._refuse_tag(event)
        value: Any = event.value
        is_plain = not event.style
        if is_plain:
            try:
                value = value_of(value)
            except NotANumber as problem:
                self._report("M110", str(problem), self._span(event), "quote it for a string")
                value = Broken(value)
        elif _SURROGATE.search(value):
            self._report("M103", "half of a surrogate pair is no character", self._span(event))
            value = _SURROGATE.sub("\ufffd", value)
        node = Scalar(self._source, event.start_mark, event.end_mark, value)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if self._open:
            parent = self._open[-1]
            if not parent.has_key and isinstance(parent.node, Mapping):
                parent.has_key = True
                parent.key = self._key(parent.node, node, is_plain=is_plain)
                return
        self._place(node)

    def _begin(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._too_many(event)
        if event.tag is not None:
            self._refuse_tag(event)
        if len(self._open) >= MAX_DEPTH:
            raise self._too_deep(event)
        kind = Mapping if event.__class__ is yaml.MappingStartEvent else Sequence
        node = kind(self._source, event.start_mark, event.end_mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = self._span(event)
        self._open.append(_Open(node, event.anchor, self._count))

    def _finish(self, event: Any) -> None:
        opened = self._open.pop()
        node = opened.node
        node.end = event.end_mark
        node.size += self._count - opened.before
        if opened.anchor is not None:
            self._anchors[opened.anchor] = node
        self._place(node)

    def _alias(self, event: Any) -> None:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise self._unknown_alias(event)
        if isinstance(target, Span):
            message = f"the alias `*{event.anchor}` stands inside what it repeats"
            raise Refused(
                Diagnostic(
                    code="M109",
                    message=message,
                    span=self._span(event),
                    hint="write out what is meant",
                    related=(Related(target, "the anchor"),),
                )
            )
        self._count += target.size
        if self._count > MAX_NODES:
            raise self._too_many(event)
        if len(self._open) + target.height > MAX_DEPTH:
            raise self._too_deep(event)
        target.is_shared = True
        self._place(target, event)

    def _place(self, node: Node, alias: Any = None) -> None:
        """Put a finished node where it belongs: into its parent, or among the documents."""
        if not self._open:
            self.documents.append(node)
            return
        opened = self._open[-1]
        parent = opened.node
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif opened.has_key:
            opened.has_key = False
            if opened.key is not None:
                parent.keys[opened.key.value] = opened.key
                parent.entries[opened.key.value] = node
        else:
            opened.has_key = True
            opened.key = None
            span = node.span if alias is None else self._span(alias)
            self._report("M107", "a key must be a string", span, "write the key as a plain word")

    def _key(self, parent: Mapping, node: Scalar, *, is_plain: bool) -> Scalar | None:
        """Return the key if it can be one; what cannot is reported, and its value dropped."""
        key = node.value
        if key.__class__ is not str:
            raw = getattr(key, "raw", None) or ("~" if key is None else str(key).lower())
            message = f"a key must be a string, and `{raw}` is not"
            self._report("M107", message, node.span, f'quote it: "{raw}"')
        elif key == "<<" and is_plain:
            hint = "write the settings out, or repeat a whole value with an alias"
            self._report("M107", "merge keys are not part of YAML 1.2", node.span, hint)
        elif _CONTROL.search(key):
            self._report("M107", "a key may not hold control characters", node.span)
        elif key in parent.keys:
            self.diagnostics.append(
                Diagnostic(
                    code="M108",
                    message=f"the key `{shortened(key)}` is there twice",
                    span=node.span,
                    hint="remove one of the two",
                    related=(Related(parent.keys[key].span, "first here"),),
                )
            )
        else:
            return node
        return None

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
        message = f"tags are not allowed: `{shortened(tag)}`"
        hint = "remove it; the field decides what a value means"
        self._report("M106", message, self._span(event), hint)

    def _unknown_alias(self, event: Any) -> Refused:
        name = event.anchor
        near = closest(name, self._anchors)
        return Refused(
            Diagnostic(
                code="M109",
                message=f"there is no anchor `&{shortened(name)}` before this alias",
                span=self._span(event),
                hint=f"did you mean `*{near}`?" if near else f'quote it for a string: "*{name}"',
            )
        )

    def _too_deep(self, event: Any) -> Refused:
        message = f"the document is nested more than {MAX_DEPTH} levels deep"
        return Refused(Diagnostic(code="M111", message=message, span=self._span(event)))

    def _too_many(self, event: Any) -> Refused:
        message = f"the file has more than {MAX_NODES:,} keys and values, aliases expanded"
        return Refused(Diagnostic(code="M111", message=message, span=self._span(event)))

    def _too_bad(self, event: Any) -> Refused:
        message = f"the file has more than {MAX_PROBLEMS} problems; it is not read further"
        return Refused(Diagnostic(code="M119", message=message, span=self._span(event)))

    def _report(self, code: str, message: str, span: Span, hint: str = "") -> None:
        self.diagnostics.append(Diagnostic(code=code, message=message, span=span, hint=hint))

    def _span(self, event: Any) -> Span:
        return self._source.span(event.start_mark, event.end_mark)
