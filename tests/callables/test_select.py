"""`select`: the part of a result that is sent."""

import types
from typing import Any, NamedTuple

import pytest

from meshd.callables.select import compile_select, path_problem
from meshd.errors import ResultRejected


class Point(NamedTuple):
    x: int
    y: int


class Lazy:
    @property
    def total(self) -> int:
        return 3

    @property
    def broken(self) -> int:
        raise LookupError("mine")


VALUE = {
    "items": [{"name": "a"}, {"name": "b"}],
    "attributes": types.SimpleNamespace(inner={"x": 1}),
    "point": Point(1, 2),
    1: {"2": "number"},
    "text": "abc",
    "lazy": Lazy(),
    "keys": {"items": "a key wins over a method"},
}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("items.0.name", "a"),
        ("items.-1.name", "b"),
        ("items.-2", {"name": "a"}),
        ("attributes.inner.x", 1),
        ("point.y", 2),
        ("point.0", 1),
        ("1.2", "number"),
        ("text.1", "b"),
        ("lazy.total", 3),
        ("keys.items", "a key wins over a method"),
    ],
)
def test_paths(path: str, part: Any) -> None:
    assert path_problem(path) is None
    assert compile_select(path)(VALUE) == part


def test_maps_of_paths() -> None:
    select = compile_select({"first": "items.0.name", "x": "point.x"})
    assert select(VALUE) == {"first": "a", "x": 1}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("itmes", "the result has no `itmes` (did you mean `items`?)"),
        ("items.2", "`items` of the result has no `2`"),
        ("items.-3", "`items` of the result has no `-3`"),
        ("items.0.nam", "`items.0` of the result has no `nam` (did you mean `name`?)"),
        ("attributes.iner", "`attributes` of the result has no `iner` (did you mean `inner`?)"),
        ("point.z.y", "`point` of the result has no `z`"),
        ("items.0.name.q\x1b", "`items.0.name` of the result has no `q\\x1b`"),
    ],
)
def test_parts_that_are_not_there(path: str, message: str) -> None:
    with pytest.raises(ResultRejected) as caught:
        compile_select(path)(VALUE)
    assert str(caught.value) == f"{message}; correct `result.select`"


def test_what_a_property_raises_passes_through() -> None:
    with pytest.raises(LookupError, match="mine"):
        compile_select("lazy.broken")(VALUE)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "a part between two dots is empty"),
        ("a..b", "a part between two dots is empty"),
        (".a", "a part between two dots is empty"),
        ("a.__class__", "`__class__` is internal to Python"),
    ],
)
def test_texts_that_are_no_paths(path: str, problem: str) -> None:
    assert path_problem(path) == problem
