"""Whether the code of a callable asks the MCP server for what no parameter gives it.

`fastmcp.server.dependencies.get_http_headers()` and its like answer only while FastMCP serves the
call. Looks at the names in the code of the callable and of the user's functions and classes that it
reaches through them; runs nothing. What is reached in other ways is not seen: a callable that
declares a `Context` parameter need not be.
"""

import dis
import functools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

MOST = 1_000
"""Objects that are looked at, for libraries may reach everything from everywhere."""

_SERVERS = ("fastmcp.server", "fastmcp.dependencies", "mcp.server")
_READS = ("LOAD_GLOBAL", "LOAD_NAME")
_KNOWN = sys.stdlib_module_names | {"fastmcp", "mcp", "mcp_types", "meshd", "pydantic"}
_LOOKED_INTO = (
    types.FunctionType,
    types.MethodType,
    functools.partial,
    type,
)


def asks_server(target: Callable[..., Any]) -> bool:
    """Say whether the callable, or what it reaches, asks the server that serves it."""
    pending: list[Any] = [target if isinstance(target, _LOOKED_INTO) else type(target)]
    seen: set[int] = set()
    while pending and len(seen) < MOST:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if _is_servers(one):
            return True
        for reached in _reached(one):
            if _is_servers(reached):
                return True
            if isinstance(reached, _LOOKED_INTO) and not _is_known(reached):
                pending.append(reached)
    return False


def _reached(value: Any) -> Iterator[Any]:
    """Return what a function, method, class or partial leads to."""
    if isinstance(value, functools.partial):
        yield value.func
    elif isinstance(value, types.MethodType):
        yield value.__func__
        yield type(value.__self__)
    elif isinstance(value, type):
        for one in value.__mro__:
            for member in vars(one).values():
                yield _function_of(member)
    else:
        yield from _reached_by_function(value)


def _function_of(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    if isinstance(member, classmethod | staticmethod):
        return cast("Any", member).__func__
    return member.func if isinstance(member, functools.cached_property) else member


def _reached_by_function(function: types.FunctionType) -> Iterator[Any]:
    yield getattr(function, "__wrapped__", None)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not filled yet
            continue
    for code in _codes(function.__code__):
        for name in _global_names(code, function.__globals__):
            found = function.__globals__.get(name)
            if isinstance(found, types.ModuleType) and found.__name__ in ("fastmcp", "mcp"):
                if "server" in code.co_names:
                    yield types.ModuleType(_SERVERS[0])
            elif found is not None:
                yield found
        for name in code.co_names:
            if name.startswith(_SERVERS):  # an import in the function
                yield types.ModuleType(name)


def _global_names(code: types.CodeType, known: Mapping[str, Any]) -> set[str]:
    """Return the global names that the code reads: others of its names are those of attributes."""
    if known.keys().isdisjoint(code.co_names):
        return set()
    return {one.argval for one in dis.get_instructions(code) if one.opname in _READS}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Return the code of a function and of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_servers(value: object) -> bool:
    """Say whether the value is a module of an MCP server, or a function of one."""
    if isinstance(value, types.ModuleType):
        return value.__name__.startswith(_SERVERS)
    return isinstance(value, types.FunctionType) and _module(value).startswith(_SERVERS)


def _is_known(value: Any) -> bool:
    """Say whether the value is of a library that asks nothing by itself."""
    return not isinstance(value, functools.partial) and _module(value).partition(".")[0] in _KNOWN


def _module(value: Any) -> str:
    name = getattr(value, "__module__", "")
    return name if isinstance(name, str) else ""
