"""A Plan to JSON values and back, guided by the types of its fields.

Places in files are left out. Where a field may hold one of several dataclasses, `kind` names the
class. Reading is strict: an unknown key, a missing value or a wrong type raises `ValueError` with
the path to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from meshd.domain.spec import JsonValue
from meshd.plan.model import FORMAT_VERSION, Plan

Reader = Callable[[Any], Any]

_PLACES = frozenset({"origin", "origins"})


class _Misfit(ValueError):
    """A value that does not fit its type, with the path to it, innermost step first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.steps: list[str] = []

    def at(self, step: str) -> "_Misfit":
        self.steps.append(step)
        return self


def to_json(plan: Plan) -> dict[str, JsonValue]:
    """Return the plan as JSON values."""
    return _writer(Plan)(plan)


def from_json(document: JsonValue) -> Plan:
    """Read a plan; raise `ValueError` if it is not one, or is of another format."""
    if not isinstance(document, dict) or "format_version" not in document:
        raise ValueError("not a plan: `format_version` is missing")
    version = cast("dict[str, JsonValue]", document)["format_version"]
    if type(version) is not int or version != FORMAT_VERSION:
        message = f"the plan has format {version!r}, this meshd reads {FORMAT_VERSION}"
        raise ValueError(message)
    return decode(Plan, document, "plan")


def encode(kind: Any, value: Any) -> JsonValue:
    """Return a value of a type as JSON values; `kind` may be a union of dataclasses."""
    return _writer(kind)(value)


def decode(kind: Any, document: JsonValue, name: str = "value") -> Any:
    """Read a value of a type; raise `ValueError` with the path, which begins with `name`."""
    try:
        return _reader(kind)(document)
    except _Misfit as misfit:
        path = "".join([name, *reversed(misfit.steps)])
        raise ValueError(f"{path}: {misfit}") from None


def _stored_fields(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(kind)
    stored = (field for field in fields(kind) if field.name not in _PLACES)
    return {field.name: (field, hints[field.name]) for field in stored}


@cache
def _writer(kind: Any) -> Reader:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _union_writer(arguments)
    if origin is tuple:
        write_item = _writer(arguments[0])
        return lambda value: [write_item(item) for item in value]
    if origin is Mapping:
        write_value = _writer(arguments[1])
        return lambda value: {key: write_value(item) for key, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        writers = {name: _writer(hint) for name, (_, hint) in _stored_fields(kind).items()}
        return lambda value: {name: write(getattr(value, name)) for name, write in writers.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: value.value
    return lambda value: value


def _union_writer(members: tuple[Any, ...]) -> Reader:
    writers = {_class_of(member): _writer(member) for member in members}
    tagged = _is_tagged(members)

    def write(value: Any) -> Any:
        kind = next(kind for kind in writers if isinstance(value, kind))
        written = writers[kind](value)
        return {"kind": type(value).__name__, **written} if tagged else written

    return write


def _class_of(member: Any) -> Any:
    """Return what the values of a type are instances of; those of a Literal are text."""
    origin = get_origin(member)
    return str if origin is Literal else origin or member


def _is_tagged(members: tuple[Any, ...]) -> bool:
    return all(is_dataclass(member) for member in members)


@cache
def _reader(kind: Any) -> Reader:
    if kind is Any:
        return lambda value: value
    if (origin := get_origin(kind)) is not None:
        return _GENERIC_READERS[origin](get_args(kind))
    if is_dataclass(kind):
        return _dataclass_reader(cast("type", kind))
    return _enum_reader(kind) if issubclass(kind, Enum) else _scalar_reader(kind)


def _scalar_reader(kind: type) -> Reader:
    # JSON does not tell 30 from 30.0; and Python's True is an int, which a plan's is not.
    accepted = {kind, int} if kind is float else {kind}
    name = "null" if kind is NoneType else kind.__name__

    def read(value: Any) -> Any:
        if type(value) not in accepted:
            raise _Misfit(f"expected {name}, found {_shown(value)}")
        return value

    return read


def _literal_reader(choices: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in choices:
            raise _Misfit(f"expected one of {', '.join(map(repr, choices))}, found {_shown(value)}")
        return value

    return read


def _enum_reader(kind: type[Enum]) -> Reader:
    members = {member.value: member for member in kind}
    check = _literal_reader(tuple(members))
    return lambda value: members[check(value)]


def _tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    read_item = _reader(arguments[0])

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Misfit(f"expected a list, found {_shown(value)}")
        return tuple(
            _read_at(f"[{index}]", read_item, item)
            for index, item in enumerate(cast("list[Any]", value))
        )

    return read


def _mapping_reader(arguments: tuple[Any, ...]) -> Reader:
    read_value = _reader(arguments[1])

    def read(value: Any) -> Any:
        mapping = _mapping(value)
        return {key: _read_at(f".{key}", read_value, item) for key, item in mapping.items()}

    return read


def _dataclass_reader(kind: type) -> Reader:
    stored = _stored_fields(kind)
    readers = {name: _reader(hint) for name, (_, hint) in stored.items()}
    required = [
        name
        for name, (field, _) in stored.items()
        if field.default is MISSING and field.default_factory is MISSING
    ]

    def read(value: Any) -> Any:
        mapping = _mapping(value)
        for name in mapping:
            if name not in readers:
                raise _Misfit("unknown key").at(f".{name}")
        for name in required:
            if name not in mapping:
                raise _Misfit("missing").at(f".{name}")
        return kind(
            **{name: _read_at(f".{name}", readers[name], item) for name, item in mapping.items()}
        )

    return read


def _union_reader(members: tuple[Any, ...]) -> Reader:
    if _is_tagged(members):
        return _tagged_reader({member.__name__: _reader(member) for member in members})
    readers = [_reader(member) for member in members]

    def read(value: Any) -> Any:
        misfits: list[_Misfit] = []
        for reader in readers:
            try:
                return reader(value)
            except _Misfit as misfit:
                misfits.append(misfit)
        # The branch that got deepest into the value is the one that was meant.
        raise max(misfits, key=lambda misfit: len(misfit.steps))

    return read


def _tagged_reader(readers: dict[str, Reader]) -> Reader:
    def read(value: Any) -> Any:
        mapping = dict(_mapping(value))
        kind = mapping.pop("kind", None)
        if not isinstance(kind, str) or kind not in readers:
            raise _Misfit(f"expected one of {', '.join(readers)}, found {_shown(kind)}").at(".kind")
        return readers[kind](mapping)

    return read


def _read_at(step: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except _Misfit as misfit:
        raise misfit.at(step) from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Misfit(f"expected a mapping, found {_shown(value)}")
    return cast("dict[str, Any]", value)


_GENERIC_READERS: dict[Any, Callable[[tuple[Any, ...]], Reader]] = {
    Union: _union_reader,
    UnionType: _union_reader,
    tuple: _tuple_reader,
    Mapping: _mapping_reader,
    Literal: _literal_reader,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
