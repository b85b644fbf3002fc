"""The types that consumers expect: `expects`, else what the annotation says of results."""

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from types import ModuleType
from typing import Any, Optional

import pytest

from meshd.api import StreamProxy, SyncStreamProxy, SyncToolProxy, ToolProxy
from meshd.callables.expected import ExpectedResult, result_of_proxy
from meshd.callables.inspection import EMPTY
from tests.callables.compiling import need, problems_of, tool_of


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (EMPTY, EMPTY),
        (Any, EMPTY),
        (int, EMPTY),
        (list[int], EMPTY),
        (Callable, EMPTY),
        (Callable[..., int], int),
        (Callable[[str], list[int]], list[int]),
        (Callable[..., Awaitable[int]], int),
        (Callable[..., Coroutine[Any, Any, int]], int),
        (Callable[..., int] | None, int),
        (Optional[ToolProxy[int]], int),  # noqa: UP045
        (ToolProxy[int], int),
        (SyncToolProxy[list[str]], list[str]),
        (ToolProxy, EMPTY),
        (StreamProxy[int], list[int]),
        (SyncStreamProxy[str] | None, list[str]),
        (Callable[..., AsyncIterator[int]], list[int]),
        (Callable[..., Iterator[str]], list[str]),
        (Callable[..., Generator[int, None, str]], list[int]),
    ],
)
def test_annotations_of_proxies(annotation: Any, expected: Any) -> None:
    assert result_of_proxy(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "chunk", "expected"),
    [
        (list[int], "1", 1),
        (tuple[int, ...], "1", 1),
        (set[datetime.date], "2020-01-02", datetime.date(2020, 1, 2)),
        (tuple[int, str], "1", "1"),
        (int, "1", "1"),
        (list, "1", "1"),
        (dict[str, int], {"a": "1"}, {"a": "1"}),
    ],
)
def test_a_chunk_is_an_item_of_what_is_expected(annotation: Any, chunk: Any, expected: Any) -> None:
    assert ExpectedResult(annotation).validate_chunk(chunk) == expected


def consumer(weather: Any, clock: ToolProxy[int], log: Callable[..., ModuleType]) -> Any:
    return (weather, clock, log)


def test_results_are_converted_to_what_is_expected() -> None:
    tool = tool_of(consumer, need("weather", expects="date"), need("clock"), need("log"))
    assert {name: adapter.validate_python("0") for name, adapter in tool.expected.items()} == {
        "weather": datetime.date(1970, 1, 1),
        "clock": 0,
    }


def test_expects_wins_and_any_leaves_json_values() -> None:
    tool = tool_of(consumer, need("clock", expects="str"), need("weather", expects="any"), LOG)
    assert list(tool.expected) == ["clock"]
    assert tool.expected["clock"].validate_python("x") == "x"


LOG = need("log")


def test_a_type_that_is_none_is_an_error() -> None:
    found = problems_of(consumer, need("weather", expects="dat"), need("clock"), LOG)
    assert found == [
        (
            "M247",
            "`dat` is not a type for values",
            "it is neither known nor `module:Class`",
            "did you mean `date`?",
        )
    ]
