"""Reads fields of JSON from anybody: each by its kind, with a limit, or with a reason to refuse it.

The place of a field is put into words only when it is refused, because most are not. Null and
absent are the same.
"""

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar, cast

from meshd.errors import MalformedRegistration

MAX_TEXT = 256
MAX_DEPTH = 64

T = TypeVar("T")
Json = Mapping[str, Any]


def text(fields: Json, name: str, where: str = "") -> str:
    """Read a short text on one line; null and absent are empty."""
    value = fields.get(name)
    if value is None:
        return ""
    if type(value) is str and len(value) <= MAX_TEXT and value.isprintable():
        return value
    return as_text(value, path(name, where))


def texts(fields: Json, name: str, limit: int, where: str = "") -> tuple[str, ...]:
    """Read a list of short texts."""
    listed = entries(fields, name, limit, where)
    for each in listed:
        if type(each) is not str or len(each) > MAX_TEXT or not each.isprintable():
            as_text(each, path(name, where))
    return cast("tuple[str, ...]", tuple(listed))


def as_text(value: object, where: str) -> str:
    """Read a value as a short text on one line."""
    if not isinstance(value, str):
        malformed(f"`{where}` is not a string")
    if len(value) > MAX_TEXT:
        malformed(f"`{where}` has more than {MAX_TEXT} characters")
    if not value.isprintable():
        malformed(f"`{where}` has characters that cannot be shown")
    return value


def raw_text(fields: Json, name: str, where: str = "") -> str:
    """Read any text."""
    return _typed(fields, name, where, str) or ""


def flag(fields: Json, name: str, where: str = "") -> bool:
    """Read true or false; null and absent are false."""
    return bool(_typed(fields, name, where, bool))


def json_object(fields: Json, name: str, where: str = "") -> Json | None:
    """Read an object."""
    return cast("Json | None", _typed(fields, name, where, dict))


def entries(fields: Json, name: str, limit: int, where: str = "") -> list[object]:
    """Read a list; null and absent are empty."""
    value = fields.get(name)
    if value is None:
        return []
    found = cast("list[object]", _typed(fields, name, where, list))
    if len(found) > limit:
        malformed(f"`{path(name, where)}` has more than {limit} entries")
    return found


def whole(fields: Json, name: str, limit: int) -> int:
    """Read a whole number that is not negative; null and absent are 0."""
    value = _typed(fields, name, "", int)
    if value is not None and (isinstance(value, bool) or not 0 <= value <= limit):
        malformed(f"`{name}` is not a whole number from 0 to {limit}")
    return value or 0


def path(name: str, where: str) -> str:
    """Return the name of a field with the place of its object before it."""
    return f"{where}.{name}" if where else name


def require_shallow(value: Json) -> None:
    """Refuse what is nested so deep that it could not be written again."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for each in level:
            deeper += each.values() if type(each) is dict else each
        level = [each for each in deeper if type(each) is dict or type(each) is list]
        if not level:
            return
    malformed(f"the body is nested deeper than {MAX_DEPTH}")


def malformed(reason: str) -> NoReturn:
    """Refuse what cannot be read."""
    raise MalformedRegistration(reason)


def _typed(fields: Json, name: str, where: str, kind: type[T]) -> T | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        malformed(f"`{path(name, where)}` is not {_KINDS[kind]}")
    return value


_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    int: "a whole number",
}
