"""One parameter's form: how its JSON value is described, checked and converted.

The type is the manifest's, else Python's, else the docstring's. A schema of the manifest replaces
the one that the type would give, and is checked before the value is converted to the type.
"""

import inspect
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from meshd.callables.docstrings import ParameterText
from meshd.callables.inspection import EMPTY, VAR_KEYWORD, VAR_POSITIONAL
from meshd.callables.report import Report
from meshd.callables.schemas import Schema, compile_schema, embedded, without_titles
from meshd.callables.types import CannotDescribe, adapter_of, schema_of
from meshd.diagnostics.model import Span
from meshd.domain.spec import JsonValue, ParameterSpec

TypeOf = Callable[[str, Span | None], Any]
"""Returns the type that a manifest names, or `EMPTY` after reporting why there is none."""


@dataclass(frozen=True, slots=True)
class Form:
    """A parameter's JSON Schema and its conversion, None where every value passes as it is."""

    schema: Schema
    convert: Callable[[JsonValue], Any] | None
    adapter: TypeAdapter[Any] | None


@dataclass(frozen=True, slots=True)
class Forms:
    """Makes the forms of a callable's parameters; reports those that have none."""

    callable_name: str
    callable_span: Span | None
    text: Mapping[str, ParameterText]
    type_of: TypeOf
    report: Report

    def of(self, parameter: inspect.Parameter, own: ParameterSpec) -> Form | None:
        """Return the form, or None for a parameter that is left out."""
        annotation = self._annotation(parameter, own)
        try:
            adapter = adapter_of(annotation)
            schema = without_titles(schema_of(adapter, annotation, "validation"))
        except CannotDescribe as reason:
            if own.schema is None:
                self._leave_out(parameter, own, str(reason))
                return None
            adapter, schema = None, Schema()
        if own.schema is None:
            return Form(schema, _converting(adapter, None), adapter)
        check = compile_schema(own.schema)
        if isinstance(check, str):
            message = f"the schema of parameter `{parameter.name}` is not a JSON Schema"
            self.report.error("M248", message, own.at("schema"), check, "correct the schema")
            return None
        public = (own.rename or parameter.name).replace("~", "~0").replace("/", "~1")
        placed = embedded(own.schema, f"#/properties/{public}")
        return Form(placed, _converting(adapter, check), adapter)

    def _annotation(self, parameter: inspect.Parameter, own: ParameterSpec) -> Any:
        annotation = parameter.annotation
        if own.type is not None:
            annotation = self.type_of(own.type, own.at("type"))
            if annotation is EMPTY:  # which has been reported
                annotation = Any
        if annotation is EMPTY:
            # Where the manifest gives a schema, a docstring's guess must not contradict it.
            said = None if own.schema is not None else self.text.get(parameter.name)
            annotation = Any if said is None or said.type is None else said.type
        if parameter.kind is VAR_POSITIONAL:
            return list[annotation]
        if parameter.kind is VAR_KEYWORD:
            return dict[str, annotation]
        if parameter.default is None and annotation is not Any:
            return typing.Optional[annotation]  # noqa: UP045  (it may be a string)
        return annotation

    def _leave_out(self, parameter: inspect.Parameter, own: ParameterSpec, reason: str) -> None:
        name = parameter.name
        hint = f"say what callers send with `parameters.{name}.type` or `parameters.{name}.schema`"
        if own.type is not None or own.has_default or not is_optional(parameter):
            message = f"parameter `{name}` of `{self.callable_name}` cannot be described"
            span = own.at("type") if own.type else self.callable_span
            self.report.error("M240", message, span, reason, hint)
        elif not own.hide:
            message = f"parameter `{name}` of `{self.callable_name}` is left out"
            label = f"{reason}, so it keeps its default"
            self.report.warning("M241", message, self.callable_span, label, f"hide it, or {hint}")


def is_optional(parameter: inspect.Parameter) -> bool:
    """Say whether Python lets a call leave the parameter out."""
    return parameter.default is not EMPTY or parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD)


def python_default(adapter: TypeAdapter[Any] | None, default: Any) -> Mapping[str, JsonValue]:
    """Return the schema's `default`: empty if JSON cannot say it or callers could not send it."""
    if adapter is None or default is EMPTY:
        return {}
    try:
        value = adapter.dump_python(default, mode="json", warnings="error")
        json.dumps(value, allow_nan=False)
        sent = adapter.validate_python(value)
        if adapter.core_schema["type"] == "any" and not _is_same(sent, default):
            return {}
    except (PydanticSerializationError, ValueError, TypeError):
        return {}
    return {"default": value}


def _is_same(sent: Any, default: Any) -> bool:
    return isinstance(default, str | int | float | list | tuple | dict | None) and (
        sent == (list(cast("Iterable[Any]", default)) if isinstance(default, tuple) else default)
    )


def _converting(
    adapter: TypeAdapter[Any] | None, check: Callable[[JsonValue], None] | None
) -> Callable[[JsonValue], Any] | None:
    validate = None
    if adapter is not None and adapter.core_schema["type"] != "any":
        validate = adapter.validator.validate_python
    if check is None:
        return validate

    def convert(value: JsonValue) -> Any:
        check(value)
        return value if validate is None else validate(value)

    return convert
