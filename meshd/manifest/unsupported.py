"""Fields that belong to the language, but that this release does not run, refused where set.

A value that equals the default has no effect and is let through.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from meshd.diagnostics.model import Diagnostic
from meshd.manifest.nodes import Node, Step, key_span
from meshd.manifest.sections import Section, settings_of
from meshd.manifest.values import Broken


def unsupported(section: Section, node: Node, path: tuple[Step, ...] = ()) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each field at or below the section that is set but not supported."""
    later = _later(type(section))
    for name in section.fields_set:
        value = getattr(section, name)
        if name in later:
            key, default = later[name]
            if value != default and not isinstance(value, Broken):
                yield Diagnostic(
                    code="M190",
                    message=f"`{key}` is not supported yet",
                    span=key_span(node, *path, key),
                    hint="remove it; this release would ignore it",
                )
        else:
            yield from _below(value, node, (*path, settings_of(type(section))[name].key or name))


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


@cache
def _later(section: type[Section]) -> dict[str, tuple[str, Any]]:
    """Return the unsupported fields of a section by name, with their keys and defaults."""
    return {
        name: (declared.key or name, declared.default)
        for name, declared in settings_of(section).items()
        if declared.later
    }
