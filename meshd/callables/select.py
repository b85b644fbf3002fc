"""A part of a result: `select` of the manifest, compiled once.

A path is keys of mappings, indexes of lists and attributes, joined by dots; nothing is called.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from meshd.callables.references import printable
from meshd.diagnostics.suggest import closest
from meshd.errors import ResultRejected

Select = str | Mapping[str, str]


def path_problem(path: str) -> str | None:
    """Return why the text is no path into a result, or None."""
    for part in path.split("."):
        if not part:
            return "a part between two dots is empty"
        if part.startswith("__") and part.endswith("__"):
            return f"`{part}` is internal to Python"
    return None


def compile_select(select: Select) -> Callable[[Any], Any]:
    """Return a function that takes the part, or the parts by name, out of a result."""
    if isinstance(select, str):
        path = select.split(".")
        return lambda value: _follow(value, path)
    paths = {name: path.split(".") for name, path in select.items()}
    return lambda value: {name: _follow(value, path) for name, path in paths.items()}


def _follow(value: Any, path: Sequence[str]) -> Any:
    way = ""
    for part in path:
        value = _step(value, part, way)
        way = f"{way}.{part}" if way else part
    return value


def _step(value: Any, part: str, way: str) -> Any:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        if part in mapping:
            return mapping[part]
        if part.isdecimal() and int(part) in mapping:
            return mapping[int(part)]
        known = [str(key) for key in mapping]
    elif isinstance(value, Sequence) and part.removeprefix("-").isdecimal():
        items = cast("Sequence[Any]", value)
        if -len(items) <= int(part) < len(items):
            return items[int(part)]
        known: list[str] = []
    else:
        try:
            return getattr(cast("Any", value), part)
        except AttributeError:
            known = [name for name in dir(cast("object", value)) if not name.startswith("_")]
    near = closest(part, known)
    fix = f" (did you mean `{near}`?)" if near else ""
    holder = f"`{printable(way)}` of the result" if way else "the result"
    raise ResultRejected(f"{holder} has no `{printable(part)}`{fix}; correct `result.select`")
