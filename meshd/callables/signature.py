"""A callable's parameters and the manifest's words about them, to schemas and a way to call.

In: what Python knows of a callable, and a ToolSpec. Out: the input schema, the compiled arguments,
and diagnostics for everything that does not fit. Where both speak, the manifest wins.
"""

import inspect
import json
import keyword
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from meshd.callables.arguments import Arguments, Layout, Slot, describe_problem, maker
from meshd.callables.content import is_context_type
from meshd.callables.docstrings import DocString, ParameterText
from meshd.callables.inspection import (
    EMPTY,
    KEYWORD,
    POSITIONAL,
    POSITIONAL_ONLY,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    Inspected,
)
from meshd.callables.schemas import (
    Mismatch,
    Schema,
    compile_schema,
    embedded,
    hoist,
    without_titles,
)
from meshd.callables.types import CannotDescribe, adapter_of, schema_of
from meshd.diagnostics.model import Diagnostic, Severity, Span
from meshd.diagnostics.suggest import closest
from meshd.domain.spec import JsonValue, ParameterSpec, ToolSpec

TypeOf = Callable[[str, Span | None], Any]
"""Returns the type that a manifest names, or `EMPTY` after reporting why there is none."""

_UNSAID = ParameterSpec(name="")
_NO_TEXT = ParameterText()
_NOT_PASSED: Any = object()
"""The default of a parameter that only `**keywords` receives."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a callable is called and what its callers may send."""

    arguments: Arguments
    input_schema: Schema
    injected: tuple[str, ...]
    contexts: tuple[str, ...]
    accepts: tuple[str, ...]


@dataclass(slots=True)
class Compilation:
    """The work on one callable: the parts so far, and what is wrong."""

    spec: ToolSpec
    inspected: Inspected
    text: DocString
    type_of: TypeOf
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    _slots: list[Slot] = field(default_factory=list[Slot])
    _fixed: dict[str, Callable[[], Any]] = field(default_factory=dict[str, Callable[[], Any]])
    _properties: Schema = field(default_factory=dict[str, JsonValue])
    _definitions: Schema = field(default_factory=dict[str, JsonValue])
    _contexts: list[str] = field(default_factory=list[str])

    def run(self) -> Compiled | None:
        """Return the compiled parameters; None if they cannot be known."""
        parameters = self._parameters()
        if parameters is None:
            return None
        self._check_names(parameters)
        said = {parameter.name: parameter for parameter in self.spec.parameters}
        needed = {need.parameter for need in self.spec.needs}
        for parameter in parameters:
            own = said.get(parameter.name, _UNSAID)
            if parameter.name in needed:
                self._check_injected(parameter, own)
            elif is_context_type(parameter.annotation):
                self._contexts.append(parameter.name)
                self._check_described(parameter, own, "the MCP context")
            else:
                self._add(parameter, own)
        self._check_public_names()
        return self._compiled(parameters, needed)

    def _compiled(self, parameters: Sequence[inspect.Parameter], needed: set[str]) -> Compiled:
        ordered = tuple(
            (p.name, p.default) for p in parameters if p.kind in (POSITIONAL_ONLY, POSITIONAL)
        )
        named = [p.name for p in parameters if p.kind in (POSITIONAL, KEYWORD)]
        injected = tuple(p.name for p in parameters if p.name in needed)
        layout = Layout(
            ordered=ordered,
            positional_only=sum(p.kind is POSITIONAL_ONLY for p in parameters),
            rest=next((p.name for p in parameters if p.kind is VAR_POSITIONAL), None),
            keywords=next((p.name for p in parameters if p.kind is VAR_KEYWORD), None),
            reserved=frozenset(named),
            injected=frozenset((*injected, *self._contexts)),
        )
        required = [slot.public for slot in self._slots if slot.required]
        schema: Schema = {"type": "object", "properties": self._properties}
        if required:
            schema["required"] = required
        schema["additionalProperties"] = False
        if self._definitions:
            schema["$defs"] = self._definitions
        return Compiled(
            arguments=Arguments(tuple(self._slots), self._fixed, layout),
            input_schema=schema,
            injected=injected,
            contexts=tuple(self._contexts),
            accepts=tuple(p.name for p in parameters),
        )

    def _parameters(self) -> list[inspect.Parameter] | None:
        """Return Python's parameters with those that only the manifest knows."""
        if self.inspected.parameters is None:
            if not self.spec.parameters:
                self.report(
                    "M252",
                    f"the parameters of `{self.spec.callable}` are not known",
                    self.spec.at("callable"),
                    "Python knows no signature of it",
                    "describe its arguments under `parameters`, in the order of the call",
                )
                return None
            names = [p.name for p in self.spec.parameters if p.name.isidentifier()]
            return [_parameter(name, POSITIONAL_ONLY) for name in names]
        parameters = list(self.inspected.parameters)
        if not any(p.kind is VAR_KEYWORD for p in parameters):
            return parameters
        known = {p.name for p in parameters}
        asked = [p.name for p in self.spec.parameters] + [n.parameter for n in self.spec.needs]
        extra = [
            _parameter(name, KEYWORD, _NOT_PASSED)
            for name in dict.fromkeys(asked)
            if name not in known and name.isidentifier() and not keyword.iskeyword(name)
        ]
        return [*parameters[:-1], *extra, parameters[-1]]

    def _check_names(self, parameters: Sequence[inspect.Parameter]) -> None:
        """Report what the manifest says of parameters that are not there."""
        known = [parameter.name for parameter in parameters]
        asked = [(p.name, p.origin, "M243") for p in self.spec.parameters]
        asked += [(n.parameter, n.at("parameter"), "M244") for n in self.spec.needs]
        for name, span, code in asked:
            if name not in known:
                near = closest(name, known)
                self.report(
                    code,
                    f"`{self.spec.callable}` has no parameter `{name}`",
                    span,
                    f"it has {', '.join(f'`{k}`' for k in known)}" if known else "it has none",
                    f"did you mean `{near}`?" if near else "",
                )
        for name, hint in self.inspected.unresolved.items():
            what = "the result" if name == "return" else f"parameter `{name}`"
            self.report(
                "M242",
                f"the type of {what} of `{self.spec.callable}` cannot be resolved",
                self.spec.at("callable"),
                f"`{hint}` names something that is not defined there; any value will do",
                "import the type where the callable is defined",
                severity=Severity.WARNING,
            )

    def _check_described(self, parameter: inspect.Parameter, own: ParameterSpec, what: str) -> None:
        if own is not _UNSAID:
            self.report(
                "M250",
                f"parameter `{parameter.name}` receives {what}, so callers cannot set it",
                own.origin,
                "it is also described under `parameters`",
                "remove it from `parameters`",
            )

    def _check_injected(self, parameter: inspect.Parameter, own: ParameterSpec) -> None:
        self._check_described(parameter, own, "a need")
        if parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD):
            span = next(n.origin for n in self.spec.needs if n.parameter == parameter.name)
            self.report(
                "M250",
                f"parameter `{parameter.name}` takes many values, so it cannot receive a need",
                span,
                f"it is `{parameter}`",
                "name a parameter that takes one value",
            )

    def _add(self, parameter: inspect.Parameter, own: ParameterSpec) -> None:
        """Add a parameter that callers may set, or that takes a default of its own."""
        adapter, schema, check = self._form(parameter, own)
        if schema is None:
            return
        convert = _convert(adapter, check)
        optional = own.has_default or _optional(parameter)
        if own.has_default and not self._fix_default(parameter, own, convert):
            return
        if own.hide:
            if not optional:
                self.report(
                    "M245",
                    f"parameter `{parameter.name}` is hidden but has no default",
                    own.at("hide"),
                    "callers cannot set it, and nothing else does",
                    "give it a `default`",
                )
            return
        public = own.rename or parameter.name
        self._slots.append(Slot(parameter.name, public, convert, not optional))
        said = self.text.parameters.get(parameter.name, _NO_TEXT)
        described = own.description or schema.get("description") or said.description
        full = hoist(schema, self._definitions)
        if described:
            full["description"] = described
        if own.has_default:
            full["default"] = own.default
        elif adapter is not None and parameter.default is not EMPTY and not own.schema:
            full.update(_python_default(adapter, parameter.default))
        self._properties[public] = full

    def _form(
        self, parameter: inspect.Parameter, own: ParameterSpec
    ) -> tuple[TypeAdapter[Any] | None, Schema | None, Callable[[JsonValue], None] | None]:
        """Return how values are converted and described; no schema if the parameter is left out."""
        annotation = self._annotation(parameter, own)
        adapter, schema = None, None
        try:
            adapter = adapter_of(annotation)
            schema = without_titles(schema_of(adapter, annotation, "validation"))
        except CannotDescribe as reason:
            if own.schema is None:
                self._left_out(parameter, own, str(reason))
                return None, None, None
            adapter = None
        if own.schema is None:
            return adapter, schema, None
        check = compile_schema(own.schema)
        if isinstance(check, str):
            self.report(
                "M248",
                f"the schema of parameter `{parameter.name}` is not a JSON Schema",
                own.at("schema"),
                check,
            )
            return None, None, None
        public = (own.rename or parameter.name).replace("~", "~0").replace("/", "~1")
        return adapter, embedded(own.schema, f"#/properties/{public}"), check

    def _annotation(self, parameter: inspect.Parameter, own: ParameterSpec) -> Any:
        """Return the type: the manifest's, else Python's, else the docstring's, else any."""
        annotation = EMPTY if own.type is None else self.type_of(own.type, own.at("type"))
        if annotation is EMPTY:
            annotation = parameter.annotation
        if annotation is EMPTY:
            # Where the manifest gives a schema, a docstring's guess must not contradict it.
            said = None if own.schema else self.text.parameters.get(parameter.name, _NO_TEXT).type
            annotation = Any if said is None else said
        if parameter.kind is VAR_POSITIONAL:
            return list[annotation]
        if parameter.kind is VAR_KEYWORD:
            return dict[str, annotation]
        if parameter.default is None and annotation is not Any:
            return typing.Optional[annotation]  # noqa: UP045  (it may be a string)
        return annotation

    def _left_out(self, parameter: inspect.Parameter, own: ParameterSpec, reason: str) -> None:
        optional = _optional(parameter)
        span = own.at("type") if own.type else self.spec.at("callable")
        if own.type is not None or not optional or own.has_default:
            self.report(
                "M240",
                f"parameter `{parameter.name}` of `{self.spec.callable}` cannot be described",
                span,
                reason,
                f"say what callers send with `parameters.{parameter.name}.type` or `schema`",
            )
        elif not own.hide:
            self.report(
                "M241",
                f"parameter `{parameter.name}` of `{self.spec.callable}` is left out",
                span,
                f"{reason}; it keeps its default",
                f"hide it, or say what callers send with `parameters.{parameter.name}.type`",
                severity=Severity.WARNING,
            )

    def _fix_default(
        self, parameter: inspect.Parameter, own: ParameterSpec, convert: Callable[[Any], Any] | None
    ) -> bool:
        """Prepare the manifest's default, which is converted like an argument."""
        try:
            value = own.default if convert is None else convert(own.default)
        except ValueError as error:
            self.report(
                "M249",
                f"the default of parameter `{parameter.name}` does not fit",
                own.at("default"),
                describe_problem("default", error, own.default),
                "give a default that a caller could send",
            )
            return False
        fresh = None if convert is None else lambda: convert(own.default)
        self._fixed[parameter.name] = maker(value, fresh)
        return True

    def _check_public_names(self) -> None:
        by_name = {parameter.name: parameter for parameter in self.spec.parameters}
        taken: dict[str, str] = {}
        for slot in self._slots:
            if slot.public in taken:
                both = (slot.name, taken[slot.public])
                spans = (
                    by_name[n].at("rename") for n in both if n in by_name and by_name[n].rename
                )
                self.report(
                    "M246",
                    f"parameters `{both[1]}` and `{both[0]}` have the same public name",
                    next(spans, self.spec.at("callable")),
                    f"both are called `{slot.public}`",
                    "rename one of them to something else",
                )
            taken[slot.public] = slot.name

    def report(  # noqa: PLR0913  (the parts of a diagnostic)
        self,
        code: str,
        message: str,
        span: Span | None,
        label: str = "",
        hint: str = "",
        *,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a diagnostic."""
        self.diagnostics.append(
            Diagnostic(
                code=code, message=message, span=span, label=label, hint=hint, severity=severity
            )
        )


def _parameter(name: str, kind: Any, default: Any = EMPTY) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=default, annotation=EMPTY)


def _optional(parameter: inspect.Parameter) -> bool:
    return parameter.default is not EMPTY or parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD)


def _convert(
    adapter: TypeAdapter[Any] | None, check: Callable[[JsonValue], None] | None
) -> Callable[[JsonValue], Any] | None:
    """Return the conversion of one argument; None if every value passes as it is."""
    validate = None
    if adapter is not None and adapter.core_schema["type"] != "any":
        validate = adapter.validator.validate_python
    if check is None:
        return validate

    def convert(value: JsonValue) -> Any:
        check(value)
        return value if validate is None else validate(value)

    return convert


def _python_default(adapter: TypeAdapter[Any], default: Any) -> Mapping[str, JsonValue]:
    """Return the default for the schema; nothing if JSON cannot say it or it is no valid argument."""
    try:
        value = adapter.dump_python(default, mode="json", warnings="error")
        json.dumps(value, allow_nan=False)
        adapter.validate_python(value)
    except (PydanticSerializationError, ValidationError, Mismatch, ValueError, TypeError):
        return {}
    return {"default": value}
