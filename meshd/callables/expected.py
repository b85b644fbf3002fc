"""The types that consumers expect of the capabilities they need.

`expects` of the manifest decides. Without it the annotation of the injected parameter counts, if
it is one that speaks of results: `Callable[..., T]`, or a proxy of `meshd.api`. What is called for
its chunks answers a list of them: each is converted to the type of its items.
"""

import collections.abc
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from meshd.callables.arguments import describe_problem
from meshd.callables.inspection import EMPTY, is_class_named
from meshd.callables.types import CannotDescribe, adapter_of, members, unwrapped
from meshd.diagnostics.model import Span
from meshd.domain.spec import NeedSpec

_CALLABLE: object = collections.abc.Callable
_PROXIES = ("ToolProxy", "SyncToolProxy")
_STREAMS = ("StreamProxy", "SyncStreamProxy")
_CHUNKS = (
    *(collections.abc.AsyncIterator, collections.abc.AsyncIterable),
    *(collections.abc.AsyncGenerator, collections.abc.Iterator, collections.abc.Generator),
)
"""What a callable returns that makes chunks of its first argument."""
_LISTS = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)


class ExpectedResult:
    """The type that results of one need are converted to."""

    __slots__ = ("_chunk", "_whole")

    def __init__(self, annotation: Any) -> None:
        """Compile the type, or raise `CannotDescribe`."""
        self._whole = adapter_of(annotation)
        item = item_of(annotation)
        self._chunk: TypeAdapter[Any] | None = None if item is EMPTY else adapter_of(item)

    def validate_python(self, value: Any, /) -> Any:
        """Return the value as that type, or raise `ValueError` with one line."""
        return _validated(self._whole, value, "result")

    def validate_chunk(self, chunk: Any, /) -> Any:
        """Return a chunk as an item of the type, or as it is if the type has no items."""
        return chunk if self._chunk is None else _validated(self._chunk, chunk, "chunk")


def _validated(adapter: TypeAdapter[Any], value: Any, name: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError(describe_problem(name, error, value)) from None


def expected_types(
    needs: Sequence[NeedSpec],
    parameters: Sequence[inspect.Parameter],
    type_of: Callable[[str, Span | None], Any],
) -> Mapping[str, ExpectedResult]:
    """Return, by injected parameter, what results are converted to; others stay JSON values."""
    annotations = {parameter.name: parameter.annotation for parameter in parameters}
    expected: dict[str, ExpectedResult] = {}
    for need in needs:
        if need.expects is not None:
            wanted = type_of(need.expects, need.at("expects"))
        else:
            wanted = result_of_proxy(annotations.get(need.parameter, EMPTY))
        if wanted is EMPTY or wanted is Any:
            continue
        try:
            expected[need.parameter] = ExpectedResult(wanted)
        except CannotDescribe:
            continue
    return expected


def result_of_proxy(annotation: Any) -> Any:
    """Return the type of the whole results of a proxy annotated like this, or EMPTY."""
    for member in members(annotation):
        origin: Any = typing.get_origin(member)
        arguments = typing.get_args(member)
        if not arguments:
            continue
        if any(is_class_named(origin, "meshd.api", name) for name in _STREAMS):
            return list[arguments[0]]
        is_proxy = any(is_class_named(origin, "meshd.api", name) for name in _PROXIES)
        if is_proxy or origin is _CALLABLE:
            return _whole(arguments[-1])
    return EMPTY


def item_of(annotation: Any) -> Any:
    """Return the type of the items of a type that has them, all of one type, or EMPTY."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _LISTS and len(arguments) == 1:
        return arguments[0]
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return arguments[0]
    return EMPTY


def _whole(returned: Any) -> Any:
    """Return the type of what a callable that returns this answers in the end."""
    if typing.get_origin(returned) in _CHUNKS and typing.get_args(returned):
        return list[typing.get_args(returned)[0]]
    return unwrapped(returned, collections.abc.Awaitable, collections.abc.Coroutine)
