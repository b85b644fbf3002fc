"""A callable's parameters and the manifest's words about them, to schemas and a way to call.

In: what Python knows of a callable, and a ToolSpec. Out: the input schema, the compiled arguments,
and a report of everything that does not fit. Where both speak, the manifest wins.
"""

import inspect
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshd.callables.arguments import Arguments, Layout, Slot, describe_problem, maker
from meshd.callables.content import is_context_type
from meshd.callables.docstrings import ParameterText
from meshd.callables.forms import Form, Forms, TypeOf, is_optional, python_default
from meshd.callables.inspection import (
    EMPTY,
    KEYWORD,
    POSITIONAL,
    POSITIONAL_ONLY,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    Inspected,
)
from meshd.callables.report import Report
from meshd.callables.schemas import Mismatch, Schema, hoist
from meshd.diagnostics.suggest import closest
from meshd.domain.spec import JsonValue, ParameterSpec, ToolSpec

_UNSAID = ParameterSpec(name="")
_NO_TEXT = ParameterText()
_NAMELESS = frozenset({"object", "obj"})
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
class _Parts:
    """What the parameters that were looked at so far amount to."""

    slots: list[Slot] = field(default_factory=list[Slot])
    fixed: dict[str, Callable[[], Any]] = field(default_factory=dict[str, Callable[[], Any]])
    properties: Schema = field(default_factory=dict[str, JsonValue])
    definitions: Schema = field(default_factory=dict[str, JsonValue])
    contexts: list[str] = field(default_factory=list[str])


def compile_signature(
    spec: ToolSpec,
    inspected: Inspected,
    text: Mapping[str, ParameterText],
    type_of: TypeOf,
    report: Report,
) -> Compiled | None:
    """Compile a callable's parameters; None if they cannot be known."""
    parameters = _parameters(spec, inspected, report)
    if parameters is None:
        return None
    _check_names(spec, parameters, report)
    _check_hints(spec, inspected, report)
    forms = Forms(spec.callable, spec.at("callable"), text, type_of, report)
    said = {parameter.name: parameter for parameter in spec.parameters}
    needed = {need.parameter for need in spec.needs}
    parts = _Parts()
    for parameter in parameters:
        own = said.get(parameter.name, _UNSAID)
        if parameter.name in needed:
            _check_injected(spec, parameter, own, report)
        elif is_context_type(parameter.annotation):
            parts.contexts.append(parameter.name)
            _check_undescribed(own, "the MCP context", report)
        else:
            _add(parts, forms, parameter, own)
    _check_public_names(spec, parts.slots, report)
    return _compiled(parts, parameters, needed)


def _compiled(parts: _Parts, parameters: Sequence[inspect.Parameter], needed: set[str]) -> Compiled:
    injected = tuple(p.name for p in parameters if p.name in needed)
    layout = Layout(
        ordered=tuple(
            (p.name, p.default) for p in parameters if p.kind in (POSITIONAL_ONLY, POSITIONAL)
        ),
        positional_only=sum(p.kind is POSITIONAL_ONLY for p in parameters),
        rest=next((p.name for p in parameters if p.kind is VAR_POSITIONAL), None),
        keywords=next((p.name for p in parameters if p.kind is VAR_KEYWORD), None),
        reserved=frozenset(p.name for p in parameters if p.kind in (POSITIONAL, KEYWORD)),
        injected=frozenset((*injected, *parts.contexts)),
    )
    schema: Schema = {"type": "object", "properties": parts.properties}
    if required := [slot.public for slot in parts.slots if slot.required]:
        schema["required"] = required
    schema["additionalProperties"] = False
    if parts.definitions:
        schema["$defs"] = parts.definitions
    return Compiled(
        arguments=Arguments(tuple(parts.slots), parts.fixed, layout),
        input_schema=schema,
        injected=injected,
        contexts=tuple(parts.contexts),
        accepts=tuple(p.name for p in parameters),
    )


def _parameters(
    spec: ToolSpec, inspected: Inspected, report: Report
) -> list[inspect.Parameter] | None:
    """Return Python's parameters with those that only the manifest knows."""
    if inspected.parameters is None:
        if not spec.parameters:
            report.error(
                "M252",
                f"the parameters of `{spec.callable}` are not known",
                spec.at("callable"),
                "Python knows no signature of it",
                "describe its arguments under `parameters`, in the order of the call",
            )
            return None
        names = [p.name for p in spec.parameters if p.name.isidentifier()]
        return [_parameter(name, POSITIONAL_ONLY) for name in names]
    parameters = _named_by_position(spec, inspected.parameters)
    if not any(p.kind is VAR_KEYWORD for p in parameters):
        return parameters
    known = {p.name for p in parameters}
    asked = [p.name for p in spec.parameters] + [need.parameter for need in spec.needs]
    extra = [
        _parameter(name, KEYWORD, _NOT_PASSED)
        for name in dict.fromkeys(asked)
        if name not in known and name.isidentifier() and not keyword.iskeyword(name)
    ]
    return [*parameters[:-1], *extra, parameters[-1]]


def _named_by_position(
    spec: ToolSpec, parameters: Sequence[inspect.Parameter]
) -> list[inspect.Parameter]:
    """Return the parameters, under the manifest's names if Python's mean nothing.

    C functions that are given a signature by a later Python call their only parameter `object` or
    `obj`; a manifest that had to describe it before, under a name of its own, stays right.
    """
    said = [p.name for p in spec.parameters]
    nameless = [p for p in parameters if p.kind is POSITIONAL_ONLY and p.name in _NAMELESS]
    if len(parameters) == len(nameless) == len(said) == 1 and said[0].isidentifier():
        return [parameters[0].replace(name=said[0])]
    return list(parameters)


def _check_names(spec: ToolSpec, parameters: Sequence[inspect.Parameter], report: Report) -> None:
    """Report what the manifest says of parameters that are not there."""
    known = [parameter.name for parameter in parameters]
    asked = [(p.name, p.origin, "M243") for p in spec.parameters]
    asked += [(need.parameter, need.origin, "M244") for need in spec.needs]
    for name, span, code in asked:
        if name not in known:
            near = closest(name, known)
            report.error(
                code,
                f"`{spec.callable}` has no parameter `{name}`",
                span,
                f"it has {', '.join(f'`{k}`' for k in known)}" if known else "it has none",
                f"did you mean `{near}`?" if near else "name one of its parameters",
            )


def _check_hints(spec: ToolSpec, inspected: Inspected, report: Report) -> None:
    for name, hint in inspected.unresolved.items():
        what = "the result" if name == "return" else f"parameter `{name}`"
        report.warning(
            "M242",
            f"the type of {what} of `{spec.callable}` cannot be resolved",
            spec.at("callable"),
            f"`{hint}` means nothing there, so any value will do",
            "import the type where the callable is defined",
        )


def _check_undescribed(own: ParameterSpec, what: str, report: Report) -> None:
    if own is not _UNSAID:
        report.error(
            "M250",
            f"parameter `{own.name}` receives {what}, so callers cannot set it",
            own.origin,
            "it is described under `parameters` too",
            "remove it from `parameters`",
        )


def _check_injected(
    spec: ToolSpec, parameter: inspect.Parameter, own: ParameterSpec, report: Report
) -> None:
    _check_undescribed(own, "a need", report)
    if parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD):
        report.error(
            "M250",
            f"parameter `{parameter.name}` takes many values, so it cannot receive a need",
            next(need.origin for need in spec.needs if need.parameter == parameter.name),
            f"it is `{parameter}`",
            "name a parameter that takes one value",
        )


def _add(parts: _Parts, forms: Forms, parameter: inspect.Parameter, own: ParameterSpec) -> None:
    """Add a parameter that callers may set, or that takes a default of its own."""
    optional = own.has_default or is_optional(parameter)
    if own.hide and not optional:
        forms.report.error(
            "M245",
            f"parameter `{parameter.name}` is hidden but has no default",
            own.at("hide"),
            "callers cannot set it, and nothing else does",
            "give it a `default`",
        )
        return
    form = forms.of(parameter, own)
    if form is None or not _fix_default(parts, form, parameter.name, own, forms.report):
        return
    if own.hide:
        return
    public = own.rename or parameter.name
    parts.slots.append(Slot(parameter.name, public, form.convert, not optional))
    # A schema of the manifest has been placed with the definitions that it refers to.
    schema = hoist(form.schema, parts.definitions) if own.schema is None else {**form.schema}
    said = forms.text.get(parameter.name, _NO_TEXT)
    if described := own.description or schema.get("description") or said.description:
        schema["description"] = described
    if own.has_default:
        schema["default"] = own.default
    elif own.schema is None:
        schema.update(python_default(form.adapter, parameter.default))
    parts.properties[public] = schema


def _fix_default(parts: _Parts, form: Form, name: str, own: ParameterSpec, report: Report) -> bool:
    """Prepare the manifest's default, which is converted like an argument; say if it fits."""
    if not own.has_default:
        return True
    convert = form.convert
    if convert is None:
        parts.fixed[name] = maker(own.default)
        return True
    try:
        value = convert(own.default)
    except ValueError as error:
        # The default may have come from the environment, so it is not shown.
        if isinstance(error, Mismatch):
            label = f"it does not match `{error.rule}`"
        else:
            label = describe_problem("default", error, own.default)
        report.error(
            "M249",
            f"the default of parameter `{name}` does not fit",
            own.at("default"),
            label,
            "give a default that a caller could send",
        )
        return False
    parts.fixed[name] = maker(value, lambda: convert(own.default))
    return True


def _check_public_names(spec: ToolSpec, slots: Sequence[Slot], report: Report) -> None:
    renamed = {p.name: p.at("rename") for p in spec.parameters if p.rename}
    taken: dict[str, str] = {}
    for slot in slots:
        if slot.public in taken:
            first = taken[slot.public]
            report.error(
                "M246",
                f"parameters `{first}` and `{slot.name}` have the same public name",
                renamed.get(slot.name) or renamed.get(first),
                f"both are called `{slot.public}`",
                "rename one of them to something else",
            )
        taken[slot.public] = slot.name


def _parameter(name: str, kind: Any, default: Any = EMPTY) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=default, annotation=EMPTY)
