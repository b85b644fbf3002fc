"""What Python itself knows of a callable: parameters, types, how it runs, its documentation.

Knows nothing of manifests or JSON. Type hints are resolved one by one, so that one that cannot be
resolved does not hide the others. A callable without a signature has `parameters` None.
"""

import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from meshd.domain.signature import Mode

EMPTY: Any = inspect.Parameter.empty
"""Stands for a type or a default that is not there."""

POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
KEYWORD = inspect.Parameter.KEYWORD_ONLY
VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True, slots=True)
class Inspected:
    """A callable as Python sees it; `unresolved` are names with hints that mean nothing."""

    mode: Mode
    parameters: tuple[inspect.Parameter, ...] | None
    returns: Any
    documentation: str
    unresolved: Mapping[str, str]


def inspect_callable(value: Callable[..., Any]) -> Inspected:
    """Look at a callable; never raises for an odd one."""
    namespace = _namespace(value)
    unresolved: dict[str, str] = {}

    def resolved(name: str, hint: Any) -> Any:
        try:
            return _resolved(hint, namespace)
        except Exception:  # noqa: BLE001  (evaluates the user's text)
            unresolved[name] = str(hint)
            return EMPTY

    try:
        signature = inspect.signature(value)
    except Exception:  # noqa: BLE001  (a __signature__ of the user's may do anything)
        parameters = () if _takes_nothing(value) else None
        returns: Any = EMPTY
    else:
        parameters = tuple(
            parameter.replace(
                annotation=_annotation(value, parameter, resolved(name, parameter.annotation))
            )
            for name, parameter in signature.parameters.items()
        )
        if parameters and isinstance(value, types.FunctionType) and hasattr(value, "dispatch"):
            # functools.singledispatch chooses by the first argument, which it takes by position.
            parameters = (parameters[0].replace(kind=POSITIONAL_ONLY), *parameters[1:])
        returns = resolved("return", signature.return_annotation)
    return Inspected(
        mode=mode_of(value),
        parameters=parameters,
        returns=value if isinstance(value, type) else returns,
        documentation=_documentation(value),
        unresolved=unresolved,
    )


def mode_of(value: object) -> Mode:
    """Return how the callable runs; a sync one may still return an awaitable."""
    function = _function(value)
    if inspect.isasyncgenfunction(function):
        return Mode.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(function):
        return Mode.ASYNC
    if inspect.isgeneratorfunction(function):
        return Mode.GENERATOR
    return Mode.SYNC


def _function(called: object) -> Any:
    """Return what runs when the value is called: through partials and `__call__`."""
    value: Any = called
    while isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, type) or inspect.isroutine(value):
        return value
    kind = cast("type[object]", type(value))
    return getattr(kind, "__call__", value)  # noqa: B004  (it is wanted, not asked for)


def _namespace(value: Any) -> dict[str, Any]:
    """Return the global names that the callable's hints were written with."""
    function = _function(value)
    if isinstance(function, type):
        maker: Any = getattr(function, "__init__")  # noqa: B009  (unbound on purpose)
        if not isinstance(maker, types.FunctionType):
            maker = function.__new__
        function = maker if isinstance(maker, types.FunctionType) else function
    if isinstance(function, types.MethodType):
        function = function.__func__
    function = inspect.unwrap(function)
    names: object = getattr(function, "__globals__", None)
    if isinstance(names, dict):
        return cast("dict[str, Any]", names)
    module = sys.modules.get(str(getattr(function, "__module__", "")))
    return {} if module is None else vars(module)


def _resolved(hint: Any, namespace: dict[str, Any]) -> Any:
    if hint is EMPTY or (isinstance(hint, type) and not isinstance(hint, types.GenericAlias)):
        return hint
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    return typing.get_type_hints(holder, namespace, {}, include_extras=True)["hint"]


def _annotation(value: object, parameter: inspect.Parameter, hint: Any) -> Any:
    """Return the hint; the `self` of a C method is of the class that the method belongs to."""
    if (
        hint is EMPTY
        and parameter.name == "self"
        and isinstance(value, types.MethodDescriptorType | types.WrapperDescriptorType)
    ):
        return value.__objclass__
    return hint


def _takes_nothing(value: object) -> bool:
    """Say whether the documentation of a C function shows it as `name()`, and in no other way."""
    name, text = getattr(value, "__name__", ""), getattr(value, "__doc__", None) or ""
    shown = re.findall(rf"^(?:\w+\.)?{re.escape(name)}\((.?)", text, re.MULTILINE) if name else []
    return set(shown) == {")"}


def _documentation(called: object) -> str:
    value: Any = called
    while isinstance(value, functools.partial):
        value = value.func
    if inspect.isroutine(value) or isinstance(value, type):
        return inspect.getdoc(value) or ""
    called_method = _function(value)
    own = inspect.getdoc(called_method) if isinstance(called_method, types.FunctionType) else None
    # Python's own words on `__call__` say nothing about this one.
    return (own if own != type.__call__.__doc__ else None) or inspect.getdoc(value) or ""


def is_class_named(annotation: Any, module: str, name: str) -> bool:
    """Say whether the annotation is a class of this module, compared by name: no import."""
    return (
        getattr(annotation, "__module__", None) == module
        and getattr(annotation, "__qualname__", None) == name
    )
