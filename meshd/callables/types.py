"""The names of types that a manifest may use, and what pydantic makes of a type.

Bytes travel as base64 text, at any depth that can be seen in the annotation. Iterables become
lists, since a caller sends an array and a callable that iterates lazily would meet errors late.
"""

import base64
import binascii
import collections.abc
import datetime
import decimal
import pathlib
import types
import typing
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, WithJsonSchema
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticCustomError, SchemaError
from typing_extensions import TypedDict

from meshd.domain.spec import JsonValue


class CannotDescribe(Exception):
    """A type that has no JSON form."""


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "should be base64") from None


def _from_text(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


def to_base64(value: bytes | bytearray | memoryview) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(value).decode("ascii")


def _to_text(value: bytes) -> str:
    return value.decode()


Base64 = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(to_base64, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Utf8 = Annotated[
    bytes,
    BeforeValidator(_from_text),
    PlainSerializer(_to_text, when_used="json"),
    WithJsonSchema({"type": "string"}),
]

KEYWORDS: Mapping[str, Any] = {
    "datetime": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
    "timedelta": datetime.timedelta,
    "Decimal": decimal.Decimal,
    "bytes": Base64,
    "utf8": Utf8,
    "path": pathlib.Path,
    "set": set,
    "frozenset": frozenset,
    "UUID": uuid.UUID,
    "complex": complex,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "any": Any,
}

_LAZY: tuple[object, ...] = (
    collections.abc.Iterable,
    collections.abc.Iterator,
    collections.abc.Collection,
)


def describable(annotation: Any, anything: Any = Any) -> Any:
    """Return the type with bytes as base64, iterables as lists and `anything` in place of Any."""
    if typing.is_typeddict(annotation):
        return _typed_dict(annotation, anything)
    origin = typing.get_origin(annotation)
    if origin is None:
        return _describable_name(annotation, anything)
    if origin is typing.Literal or annotation in (Base64, Utf8):
        return annotation
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return Annotated[(describable(arguments[0], anything), *arguments[1:])]
    inner = tuple(describable(argument, anything) for argument in arguments)
    if origin in _LAZY:
        return list[inner[0]] if inner else list[anything]
    if inner == arguments:
        return annotation
    if origin in (typing.Union, types.UnionType):
        return typing.Union[inner]  # noqa: UP007  (made at run time)
    return types.GenericAlias(origin, inner)


def _describable_name(annotation: Any, anything: Any) -> Any:
    if annotation is bytes:
        return Base64
    if annotation is Any:
        return anything
    if annotation is list or annotation in _LAZY:
        return list[anything]
    return dict[Any, anything] if annotation is dict else annotation


def _typed_dict(annotation: Any, anything: Any) -> Any:
    """Return the TypedDict in a form that pydantic takes on every version of Python."""
    hints = typing.get_type_hints(annotation, include_extras=True)
    if any(annotation in (hint, *typing.get_args(hint)) for hint in hints.values()):
        return annotation
    required = annotation.__required_keys__
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        is_marked = typing.get_origin(hint) in (typing.Required, typing.NotRequired)
        inner = describable(typing.get_args(hint)[0] if is_marked else hint, anything)
        fields[name] = inner if name in required else typing.NotRequired[inner]
    made: Any = TypedDict(annotation.__name__, fields)  # pyright: ignore[reportArgumentType]
    made.__doc__, made.__module__ = annotation.__doc__, annotation.__module__
    if hasattr(annotation, "__pydantic_config__"):
        made.__pydantic_config__ = annotation.__pydantic_config__
    return made


def adapter_of(annotation: Any, anything: Any = Any) -> TypeAdapter[Any]:
    """Return pydantic's view of the type, or raise `CannotDescribe` with the reason.

    `anything` stands for every `Any` that can be seen in the annotation.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return TypeAdapter(describable(annotation, anything))
    except (PydanticUserError, SchemaError, NameError, TypeError, RecursionError) as error:
        raise CannotDescribe(_reason(annotation, error)) from error


def schema_of(adapter: TypeAdapter[Any], annotation: Any, mode: Any) -> dict[str, JsonValue]:
    """Return the JSON Schema of the type, or raise `CannotDescribe`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return adapter.json_schema(mode=mode)
    except (PydanticUserError, SchemaError, TypeError, RecursionError) as error:
        raise CannotDescribe(_reason(annotation, error)) from error


def _reason(annotation: Any, error: Exception) -> str:
    name = type_name(annotation)
    if isinstance(error, NameError):
        return f"`{name}` mentions `{error.name}`, which is not defined"
    return f"`{name}` has no JSON form"


def type_name(annotation: Any) -> str:
    """Return a type as a person would write it."""
    if annotation is Base64 or annotation is Utf8:
        return "bytes"
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        if annotation is type(None):
            return "None"
        module = annotation.__module__
        prefix = "" if module == "builtins" else f"{module}."
        return f"{prefix}{annotation.__qualname__}"
    return str(annotation).replace("typing.", "")


def unwrapped(annotation: Any, *wrappers: Callable[..., Any] | type) -> Any:
    """Return the last argument of a generic type if it is one of the wrappers, else the type."""
    if typing.get_origin(annotation) in wrappers and typing.get_args(annotation):
        return typing.get_args(annotation)[-1]
    return annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union that are not None, or the type itself; annotations dropped."""
    if typing.get_origin(annotation) is Annotated:
        return members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(
            member
            for argument in typing.get_args(annotation)
            if argument is not type(None)
            for member in members(argument)
        )
    return (annotation,)
