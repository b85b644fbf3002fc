"""The objects of an agent: made once from a class and keyword arguments of the manifest.

Arguments are converted and checked like a tool's, by the constructor's own types. Making an
object runs user code; what it raises becomes a diagnostic.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshd.callables.failures import summary
from meshd.callables.inspection import VAR_KEYWORD, inspect_callable
from meshd.callables.load import Loaded, Loader
from meshd.callables.tool import Target, compile_tool
from meshd.diagnostics.model import Diagnostic, has_errors
from meshd.domain.signature import Mode
from meshd.domain.spec import ObjectSpec, ParameterSpec, ToolSpec
from meshd.errors import ArgumentsRejected


@dataclass(frozen=True, slots=True)
class Made:
    """An object that was made."""

    value: Any


def make_object(spec: ObjectSpec, loader: Loader) -> Made | Diagnostic:
    """Load the class and call it; user code runs."""
    loaded = loader.load(spec.class_reference, spec.at("class_reference"))
    if isinstance(loaded, Diagnostic):
        return loaded
    construction = _construction(spec, loaded, loader)
    if isinstance(construction, Diagnostic):
        return construction
    try:
        return Made(construction())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (user code ends here, by SystemExit too)
        return Diagnostic(
            code="M225",
            message=f"making object `{spec.name}` raised `{type(error).__name__}`",
            span=spec.at("class_reference"),
            label=summary(error),
            hint="correct the constructor, or its `arguments`",
            detail=loader.users_traceback(error),
        )


def _construction(
    spec: ObjectSpec, loaded: Loaded, loader: Loader
) -> Callable[[], Any] | Diagnostic:
    """Return the call that makes the object, its arguments converted and checked."""
    make = loaded.value
    if not callable(make):
        return _problem(spec, "class_reference", f"it is of type `{type(make).__name__}`")
    inspected = inspect_callable(make)
    if inspected.mode is not Mode.SYNC:
        return _problem(spec, "class_reference", "it is a coroutine or generator function")
    if inspected.parameters is None:
        return functools.partial(make, **spec.arguments)
    names = {parameter.name for parameter in inspected.parameters}
    is_open = any(parameter.kind is VAR_KEYWORD for parameter in inspected.parameters)
    # The schema that allows everything lets values pass whose types have no JSON form.
    described = tuple(
        ParameterSpec(name=name, schema={}) for name in spec.arguments if is_open or name in names
    )
    tool_spec = ToolSpec(
        callable=spec.class_reference,
        name=spec.name,
        parameters=described,
        origin=spec.at("class_reference"),
    )
    tool, diagnostics = compile_tool(tool_spec, Target(make), loader)
    if tool is None:
        return next(d for d in diagnostics if has_errors((d,)))
    try:
        return functools.partial(tool.invoke, tool.validate(spec.arguments))
    except ArgumentsRejected as error:
        return _problem(spec, "arguments", str(error).removeprefix("arguments rejected: "))


def _problem(spec: ObjectSpec, field: str, label: str) -> Diagnostic:
    return Diagnostic(
        code="M225",
        message=f"object `{spec.name}` cannot be made from `{spec.class_reference}`",
        span=spec.at(field),
        label=label,
        hint="correct its `arguments`" if field == "arguments" else "name a class",
    )
