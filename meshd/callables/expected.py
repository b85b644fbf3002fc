"""The types that consumers expect of the capabilities they need.

`expects` of the manifest decides. Without it the annotation of the injected parameter counts, if
it is one that speaks of results: `Callable[..., T]`, `ToolProxy[T]` or `SyncToolProxy[T]`.
"""

import collections.abc
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from meshd.callables.inspection import EMPTY, is_class_named
from meshd.callables.types import CannotDescribe, adapter_of, members, unwrapped
from meshd.diagnostics.model import Span
from meshd.domain.spec import NeedSpec

_CALLABLE: object = collections.abc.Callable


def expected_types(
    needs: Sequence[NeedSpec],
    parameters: Sequence[inspect.Parameter],
    type_of: Callable[[str, Span | None], Any],
) -> Mapping[str, TypeAdapter[Any]]:
    """Return, by injected parameter, what results are converted to; others stay JSON values."""
    annotations = {parameter.name: parameter.annotation for parameter in parameters}
    expected: dict[str, TypeAdapter[Any]] = {}
    for need in needs:
        if need.expects is not None:
            wanted = type_of(need.expects, need.at("expects"))
        else:
            wanted = result_of_proxy(annotations.get(need.parameter, EMPTY))
        if wanted is EMPTY or wanted is Any:
            continue
        try:
            expected[need.parameter] = adapter_of(wanted)
        except CannotDescribe:
            continue
    return expected


def result_of_proxy(annotation: Any) -> Any:
    """Return the type of the results of a proxy annotated like this, or EMPTY."""
    for member in members(annotation):
        origin: Any = typing.get_origin(member)
        arguments = typing.get_args(member)
        is_proxy = any(
            is_class_named(origin, "meshd.api", n) for n in ("ToolProxy", "SyncToolProxy")
        )
        if arguments and (is_proxy or origin is _CALLABLE):
            last = arguments[-1]
            return unwrapped(last, collections.abc.Awaitable, collections.abc.Coroutine)
    return EMPTY
