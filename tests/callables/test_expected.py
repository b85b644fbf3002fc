"""The types that consumers expect: `expects`, else what the annotation says of results."""

import datetime
from collections.abc import Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any, Optional

import pytest

from meshd.api import SyncToolProxy, ToolProxy
from meshd.callables.expected import result_of_proxy
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
    ],
)
def test_annotations_of_proxies(annotation: Any, expected: Any) -> None:
    assert result_of_proxy(annotation) == expected


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
