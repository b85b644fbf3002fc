"""Python values of undeclared type to JSON values, or a clear error; never `<object at 0x…>`.

Runs the user's code where a value is lazy (iterators, properties): what that raises passes through.
NaN and infinities are errors, because JSON cannot say them; so are cycles and depth beyond
`DEEPEST`, and iterators beyond `LONGEST` items.
"""

import array
import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import ipaddress
import itertools
import json
import math
import pathlib
import re
import types
import uuid
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, cast

from pydantic import AnyUrl, BaseModel
from pydantic_core import PydanticSerializationError, Url, to_jsonable_python

from meshd.callables.types import to_base64, type_name
from meshd.domain.spec import JsonValue
from meshd.errors import ResultRejected

RESULT = "result"
DEEPEST = 100
"""Levels of lists and objects inside each other."""
LONGEST = 10_000
"""Items that are taken from an iterator, which may have no end."""
LONGEST_INTEGER_BITS = 14_000

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_TEXTUAL = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
    pathlib.PurePath,
    AnyUrl,
    fractions.Fraction,
    complex,
    re.Pattern,
    Url,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
_LAZY = (Iterator, range, collections.abc.MappingView)
_LISTS = (list, tuple, collections.deque, array.array, collections.UserList)


def dump(value: Any, place: str = RESULT) -> JsonValue:
    """Return the value as JSON values, or raise `ResultRejected` naming the type and the place.

    `place` is what the value is called in errors.
    """
    return _Dump().value(value, place)


class _Dump:
    """One dump, with the containers that it is inside of."""

    def __init__(self) -> None:
        self._inside: dict[int, object] = {}

    def value(self, value: Any, place: str) -> JsonValue:
        """Return one value at a place."""
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.value(value.value, place)
        if isinstance(value, str):
            return _text(value, place)
        if isinstance(value, int):
            return _integer(value, place)
        if isinstance(value, float):
            return _number(value, place)
        if isinstance(value, bytes | bytearray | memoryview):
            return to_base64(bytes(cast("bytes", value)))
        if isinstance(value, _TEXTUAL):
            return _in_words(cast("object", value), place)
        return self._container(value, place)

    def _container(self, value: Any, place: str) -> JsonValue:
        if id(value) in self._inside:
            raise ResultRejected(f"`{place}` holds itself, which JSON cannot say")
        if len(self._inside) >= DEEPEST:
            raise ResultRejected(f"the result is nested deeper than {DEEPEST} levels")
        self._inside[id(value)] = value
        try:
            return self._opened(value, place)
        finally:
            del self._inside[id(value)]

    def _opened(self, value: Any, place: str) -> JsonValue:
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[Any, Any]", value).items(), place)
        if isinstance(value, Set) and not isinstance(value, collections.abc.MappingView):
            return self._set(cast("Set[Any]", value), place)
        if isinstance(value, _LISTS):
            return self._items(cast("Iterable[Any]", value), place)
        if isinstance(value, _LAZY) and not isinstance(value, io.IOBase):
            return self._items(bounded(cast("Iterable[Any]", value), place), place)
        if isinstance(value, BaseModel):
            return sendable(_model(value, place), place)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
            return self._mapping(pairs, place)
        if isinstance(value, types.SimpleNamespace):
            return self._mapping(vars(value).items(), place)
        kind = cast("type[object]", type(value))
        if callable(getattr(kind, "tolist", None)):
            return self.value(cast("Any", value).tolist(), place)
        raise unsendable(value, place)

    def _items(self, items: Iterable[Any], place: str) -> JsonValue:
        return [self.value(item, f"{place}[{index}]") for index, item in enumerate(items)]

    def _set(self, items: Set[Any], place: str) -> JsonValue:
        return in_order(cast("list[JsonValue]", self._items(items, place)))

    def _mapping(self, pairs: Iterable[tuple[Any, Any]], place: str) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key, item in pairs:
            name = _key(key, place)
            if name in result:
                raise ResultRejected(f"`{place}` has two keys that JSON writes as `{name}`")
            result[name] = self.value(item, f"{place}.{name}")
        return result


def bounded(items: Iterable[Any], place: str) -> list[Any]:
    """Return the items of what may have no end as a list, or raise if they are too many."""
    taken = list(itertools.islice(items, LONGEST + 1))
    if len(taken) > LONGEST:
        raise ResultRejected(
            f"`{place}` yields more than {LONGEST:,} items; return a list, or fewer items"
        )
    return taken


def in_order(items: list[Any]) -> list[JsonValue]:
    """Return what was a set in an order that does not depend on hashes: answers are stable."""
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def with_sets_in_order(dumped: Any, python: Any) -> JsonValue:
    """Put the lists in order that are sets in `python`, the same value with Python's containers."""
    if isinstance(python, Set) and isinstance(dumped, list):
        return in_order(cast("list[Any]", dumped))
    if isinstance(python, list | tuple) and isinstance(dumped, list):
        inner = zip(cast("list[Any]", dumped), cast("Iterable[Any]", python), strict=True)
        return [with_sets_in_order(*pair) for pair in inner]
    if isinstance(python, Mapping) and isinstance(dumped, dict):
        values = cast("Mapping[Any, Any]", python).values()
        pairs = zip(cast("dict[str, Any]", dumped).items(), values, strict=True)
        return {name: with_sets_in_order(item, value) for (name, item), value in pairs}
    return dumped


def unsendable(value: object, place: str) -> ResultRejected:
    """Return the error for a value that has no JSON form."""
    problem = f"`{place}` is of type `{type_name(type(value))}`, which has no JSON form"
    if not place.startswith(RESULT):
        return ResultRejected(problem)
    return ResultRejected(
        f"{problem}; take a part of it with `result.select`, or say what it is with `result.type`"
    )


def sendable(value: JsonValue, place: str = RESULT) -> JsonValue:
    """Return JSON values as they are if JSON can say them, or raise `ResultRejected`."""
    kind = type(cast("object", value))
    if value is None or kind is bool or (kind is str and value.isascii()):
        return value
    if (kind is int and value.bit_length() < 64) or (kind is float and math.isfinite(value)):
        return value
    try:
        _ENCODER.encode(value).encode()
    except (ValueError, TypeError, RecursionError):
        # Walks the value again to find the place.
        return dump(value, place)
    return value


def _text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ResultRejected(
            f"`{place}` is text with half a character (a lone surrogate), which cannot be sent"
        ) from None
    return value if type(value) is str else str.__str__(value)


def _in_words(value: object, place: str) -> str:
    if isinstance(value, pathlib.PurePath | AnyUrl):
        return _text(str(value), place)
    return cast("str", to_jsonable_python(value))


def _integer(value: int, place: str) -> int:
    # Python refuses to write longer ones, to keep the quadratic work short.
    if value.bit_length() > LONGEST_INTEGER_BITS:
        raise ResultRejected(
            f"`{place}` is an integer of more than 4,000 digits; return text instead"
        )
    return int(value)


def _number(value: float, place: str) -> float:
    if math.isfinite(value):
        return float(value)
    raise ResultRejected(f"`{place}` is {float(value)}, which JSON cannot say; return None instead")


def _key(key: Any, place: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key, place)
    try:
        dumped = cast("dict[str, None]", to_jsonable_python({key: None}))
    except (PydanticSerializationError, ValueError):
        raise unsendable(key, f"{place} (a key)") from None
    return next(iter(dumped))


def _model(value: BaseModel, place: str) -> JsonValue:
    try:
        dumped = value.model_dump(mode="json", by_alias=True, fallback=dump)
        return with_sets_in_order(dumped, value.model_dump(by_alias=True))
    except (PydanticSerializationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ResultRejected(
            f"`{place}` of type `{type_name(type(value))}` cannot be written as JSON: {reason}"
        ) from None
