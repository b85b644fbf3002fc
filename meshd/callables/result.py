"""A callable's results: their schema, and how they become JSON values. Compiled once per tool.

What is declared (in the manifest, else by the annotation) is kept: a value that does not fit is an
error. What is not declared is dumped by its own type. For a generator all of this speaks of one
chunk, and the result is the list of them.
"""

import collections.abc
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import PlainSerializer, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from meshd.callables.arguments import describe_problem
from meshd.callables.content import is_content, is_content_type
from meshd.callables.dump import bounded, dump, sendable, with_sets_in_order
from meshd.callables.inspection import EMPTY
from meshd.callables.schemas import (
    Mismatch,
    Schema,
    compile_schema,
    embedded,
    hoist,
    without_titles,
)
from meshd.callables.select import compile_select
from meshd.callables.types import CannotDescribe, adapter_of, schema_of, type_name, unwrapped
from meshd.domain.signature import Mode
from meshd.domain.spec import JsonValue, ResultSpec
from meshd.errors import ResultRejected

_STREAMS = (
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
)
_LAZY = (collections.abc.Iterator, collections.abc.MappingView, range)
_NEVER_LAZY = frozenset({int, str, float, bool, type(None), list, dict, tuple})
"""Spares most results the slow question whether they are lazy."""
_NEVER_CONTENT = _NEVER_LAZY - {list}
_PLAIN = (int, str, bool)
Dump = Callable[[Any], JsonValue]


def _dump_any(value: Any) -> JsonValue:
    return dump(value)


_DUMPED = Annotated[Any, PlainSerializer(_dump_any, when_used="json")]
"""What stands for `Any` inside a declared type, so that it is sent as if nothing were declared."""


@dataclass(frozen=True, slots=True)
class ResultForm:
    """How results are sent: the whole, and one chunk of a generator."""

    output_schema: Mapping[str, JsonValue] | None
    dump: Dump
    dump_item: Dump
    mcp_content: bool


def result_form(annotation: Any, mode: Mode, spec: ResultSpec, declared: Any = EMPTY) -> ResultForm:
    """Compile the form of results; `declared` is the type that the manifest names, loaded.

    Raises `CannotDescribe` for a `result.schema` that is no JSON Schema.
    """
    if declared is EMPTY and spec.schema is None and spec.select is None:
        declared = result_type(annotation, mode)
        if is_content_type(declared):
            return ResultForm(None, _passed, _passed, mcp_content=True)
    schema, convert = _declared(declared)
    definitions: Schema = {}
    if spec.schema is not None:
        place = "#/properties/result/items" if mode.is_generator else "#/properties/result"
        inner = embedded(spec.schema, place)
        convert = _checked(convert, spec.schema)
    elif declared is EMPTY and isinstance(spec.select, Mapping):
        names = list(spec.select)
        properties: Schema = {name: {} for name in names}
        inner = {"type": "object", "properties": properties, "required": names}
    else:
        inner = hoist(schema, definitions)
    one = _selected(convert, spec)
    if mode.is_generator:
        many = wrapped({"type": "array", "items": inner}, definitions)
        return ResultForm(many, _each(one), one, mcp_content=False)
    return ResultForm(wrapped(inner, definitions), one, one, mcp_content=False)


def result_type(annotation: Any, mode: Mode) -> Any:
    """Return the type of the result: of a chunk for generators, without the awaitable's wrapper."""
    if mode.is_generator:
        if typing.get_origin(annotation) in _STREAMS:
            arguments = typing.get_args(annotation)
            return arguments[0] if arguments else EMPTY
        return EMPTY
    inner = unwrapped(annotation, collections.abc.Awaitable, collections.abc.Coroutine)
    if typing.get_origin(inner) is collections.abc.Generator:
        return list[typing.get_args(inner)[0]] if typing.get_args(inner) else list[Any]
    return inner


def wrapped(schema: Schema, definitions: Schema) -> Schema:
    """Return the schema of `{"result": …}`, with definitions at the top."""
    top: Schema = {
        "type": "object",
        "properties": {"result": schema},
        "required": ["result"],
        "x-fastmcp-wrap-result": True,
    }
    return {**top, "$defs": definitions} if definitions else top


def _declared(annotation: Any) -> tuple[Schema, Dump]:
    """Return the schema and the dump of a declared type, or those of any value."""
    if annotation is EMPTY:
        return {}, dump
    try:
        adapter = adapter_of(annotation, _DUMPED)
        schema = without_titles(schema_of(adapter, annotation, "serialization"))
    except CannotDescribe:
        return {}, dump
    return (
        (schema, _typed(adapter, annotation, has_sets="uniqueItems" in json.dumps(schema)))
        if schema
        else ({}, dump)
    )


def _typed(adapter: TypeAdapter[Any], annotation: Any, *, has_sets: bool) -> Dump:
    """Return a dump that holds values to the declared type."""
    validate = adapter.validator.validate_python
    serialize = adapter.serializer.to_python
    plain = next((kind for kind in _PLAIN if annotation is kind), None)

    def dump_typed(value: Any) -> JsonValue:
        # What validating and serialising would return as it is.
        if type(value) is plain and (plain is not str or value.isascii()):
            return sendable(value)
        if type(value) not in _NEVER_LAZY and isinstance(value, _LAZY):
            value = bounded(cast("Iterable[Any]", value), "result")
        try:
            fitting = validate(value, from_attributes=True)
            dumped = serialize(fitting, mode="json", by_alias=True, warnings="error", fallback=dump)
            if has_sets:
                python = serialize(fitting, by_alias=True, warnings="none")
                dumped = with_sets_in_order(dumped, python)
        except ValidationError as error:
            raise ResultRejected(
                f"the result is declared `{type_name(annotation)}`, but the callable returned "
                f"`{type_name(type(value))}`: {describe_problem('result', error, value)}"
            ) from None
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            if isinstance(error.__cause__, ResultRejected):
                raise error.__cause__ from None
            reason = str(error).strip().splitlines()[-1].strip()
            raise ResultRejected(
                f"the result is declared `{type_name(annotation)}`, and the "
                f"`{type_name(type(value))}` returned cannot be written as that: {reason}"
            ) from None
        return sendable(dumped)

    return dump_typed


def _checked(convert: Dump, schema: Mapping[str, JsonValue]) -> Dump:
    """Return the dump followed by a check against the manifest's schema."""
    check = compile_schema(schema)
    if isinstance(check, str):
        raise CannotDescribe(check)

    def dump_checked(value: Any) -> JsonValue:
        dumped = convert(value)
        try:
            check(dumped)
        except Mismatch as error:
            raise ResultRejected(f"the result does not match `result.schema`: {error}") from None
        return dumped

    return dump_checked


def _selected(convert: Dump, spec: ResultSpec) -> Dump:
    if spec.select is None:
        return lambda value: (
            value if type(value) not in _NEVER_CONTENT and is_content(value) else convert(value)
        )
    select = compile_select(spec.select)
    return lambda value: convert(select(value))


def _each(one: Dump) -> Dump:
    return lambda values: [one(value) for value in values]


def _passed(value: Any) -> Any:
    return value
