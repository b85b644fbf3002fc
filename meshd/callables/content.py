"""MCP content recognised by the names of its modules: meshd's core does not import MCP.

Such values (images, files, content blocks, whole tool results) are answers in themselves and are
handed on as they are.
"""

import typing
from typing import Any, cast

from meshd.callables.inspection import is_class_named
from meshd.callables.types import members

_PACKAGES = frozenset({"fastmcp", "mcp", "mcp_types"})


def is_content_type(annotation: Any) -> bool:
    """Say whether the type is MCP content, or a union or list with MCP content in it."""
    return any(
        any(map(is_content_type, typing.get_args(member)))
        if typing.get_origin(member) is list
        else _is_content_class(member)
        for member in members(annotation)
    )


def is_content(value: object) -> bool:
    """Say whether the value is MCP content, or a list with MCP content in it."""
    if isinstance(value, list):
        return any(_is_content_class(type(item)) for item in cast("list[object]", value))
    return _is_content_class(type(value))


def is_context_type(annotation: Any) -> bool:
    """Say whether the type is FastMCP's Context, perhaps optional."""
    return any(
        is_class_named(member, "fastmcp.server.context", "Context")
        for member in members(annotation)
    )


def _is_content_class(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation.__module__.partition(".")[0] in _PACKAGES
