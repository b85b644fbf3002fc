"""Fields that belong to the language, but that this release does not run, refused where set.

A value that equals the default has no effect and is let through.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from meshd.diagnostics.model import Diagnostic
from meshd.manifest.model import Section, extra_of
from meshd.manifest.nodes import Node, Step, key_span
from meshd.manifest.values import Later


def unsupported(section: Section, node: Node, path: tuple[Step, ...] = ()) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each field at or below the section that is set but not supported."""
    later = _later(type(section))
    for name in section.model_fields_set:
        value = getattr(section, name)
        if name in later:
            key, default = later[name]
            if value != default and not isinstance(value, Later):
                yield Diagnostic(
                    code="M190",
                    message=f"`{key}` is not supported yet",
                    span=key_span(node, *path, key),
                    hint="remove it; this release would ignore it",
                )
        else:
            yield from _below(value, node, (*path, _key(section, name)))


def _below(value: Any, node: Node, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    if isinstance(value, Section):
        yield from unsupported(value, node, path)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            if not isinstance(item, Section):
                return
            yield from unsupported(item, node, (*path, index))
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if not isinstance(item, Section):
                return
            yield from unsupported(item, node, (*path, key))


def _key(section: Section, name: str) -> str:
    return type(section).model_fields[name].alias or name


@cache
def _later(section: type[Section]) -> dict[str, tuple[str, Any]]:
    """Return the unsupported fields of a section by name, with their keys and defaults."""
    found: dict[str, tuple[str, Any]] = {}
    for name, field in section.model_fields.items():
        if extra_of(field).get("x-later"):
            default = field.get_default(call_default_factory=True)
            found[name] = (field.alias or name, default)
    return found
