"""Arguments from JSON: what is converted to what, and one message for all that is wrong."""

import dataclasses
import enum
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional, TypedDict, Union, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from meshd.callables.arguments import Arguments, Layout, Slot, describe_problem
from meshd.callables.inspection import EMPTY
from meshd.errors import ArgumentsRejected
from tests.callables.compiling import (
    call,
    parameter,
    properties_of,
    schema_of,
    tool_of,
    without_hints,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    y: int = 0


class Shape(BaseModel):
    """A closed line."""

    points: list[Point]
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Order:
    item: str
    count: int = 1
    data: bytes = b""


class Address(TypedDict):
    street: str
    number: int


class Person(TypedDict, total=False):
    home: Address
    key: bytes


def taking(annotation: Any) -> Callable[..., Any]:
    """Return a function of one parameter of the type."""

    def function(value: Any) -> Any:
        return value

    function.__annotations__ = {"value": annotation}
    return function


CONVERSIONS = [
    # Any value passes where nothing is declared.
    (Any, "1", "1"),
    (object, 1, 1),
    # Text that says a number is taken for one, since clients send forms; a number is never text.
    (int, 1, 1),
    (int, "1", 1),
    (int, 1.0, 1),
    (float, 1, 1.0),
    (float, "1.5", 1.5),
    (bool, True, True),
    (bool, "true", True),
    (str, "1", "1"),
    (int | str, "1", "1"),
    (int | str, 1, 1),
    (Union[str, float], 1.5, 1.5),  # noqa: UP007
    (bool | int, 1, 1),
    (bool | int, True, True),
    (Optional[int], None, None),  # noqa: UP045
    (int | None, 3, 3),
    (Literal["a", 1], 1, 1),
    (Colour, "blue", Colour.BLUE),
    (list[int], [1, 2], [1, 2]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (set[int], [1, 1], {1}),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (Annotated[int, Field(gt=0)], 1, 1),
    (bytes, "AAH/", b"\x00\x01\xff"),
    (list[bytes], ["AA=="], [b"\x00"]),
    (bytes | None, "AA==", b"\x00"),
    (Point, {"x": 1}, Point(x=1)),
    (Shape, {"points": [{"x": 1, "y": 2}]}, Shape(points=[Point(x=1, y=2)])),
    (Order, {"item": "a", "count": 2}, Order("a", 2)),
    (Address, {"street": "a", "number": 1}, {"street": "a", "number": 1}),
    (Person, {"home": {"street": "a", "number": 1}, "key": "AA=="}, None),
    (list[Address], [{"street": "a", "number": 1}], [{"street": "a", "number": 1}]),
]


@pytest.mark.parametrize(("annotation", "sent", "received"), CONVERSIONS)
def test_conversions(annotation: Any, sent: Any, received: Any) -> None:
    found = call(tool_of(taking(annotation)), {"value": sent})
    if annotation is Person:
        received = {"home": {"street": "a", "number": 1}, "key": b"\x00"}
    assert found == received
    assert type(found) is type(received)


REJECTIONS: list[Any] = [
    (int, "one", "`value` should be a valid integer, unable to parse string as an integer"),
    (int, 1.5, "`value` should be a valid integer, got a number with a fractional part"),
    (int, None, "`value` should be a valid integer"),
    (float, "x", "`value` should be a valid number, unable to parse string as a number"),
    (bool, 2, "`value` should be a valid boolean, unable to interpret input"),
    (str, 1, "`value` should be a valid string"),
    (str, True, "`value` should be a valid string"),
    (Literal["a", "b"], "c", "`value` should be 'a' or 'b'"),
    (Colour, "green", "`value` should be 'red' or 'blue'"),
    (Annotated[int, Field(gt=0)], 0, "`value` should be greater than 0"),
    (bytes, "no base64", "`value` should be base64"),
    (bytes, 1, "`value` should be a valid bytes"),
    (list[int], {"a": 1}, "`value` should be a valid list"),
    (Shape, {"points": [{"x": 1}, {"x": "a"}]}, "`value.points[1].x` should be a valid integer"),
    (Shape, {}, "`value.points` field required"),
    (Order, {"item": 1}, "`value.item` should be a valid string"),
    (Address, {"street": "a"}, "`value.number` field required"),
    (list[Address], [{"street": 1, "number": 1}], "`value[0].street` should be a valid string"),
    (int | None, "x", "`value` should be a valid integer"),
    (
        list[int],
        ["a", "b", "c", "d", "e"],
        "`value[2]` should be a valid integer, unable to parse string as an integer, and 2 more",
    ),
]


@pytest.mark.parametrize(("annotation", "sent", "message"), REJECTIONS)
def test_rejections(annotation: Any, sent: Any, message: str) -> None:
    with pytest.raises(ArgumentsRejected, match=re.escape(message)) as caught:
        tool_of(taking(annotation)).validate({"value": sent})
    assert str(caught.value).startswith("arguments rejected: `value")
    assert "\n" not in str(caught.value)


def trip(city: str, days: int, budget: float = 0.0, kind: Literal["fast", "slow"] = "fast") -> Any:
    return (city, days, budget, kind)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`city` is missing; `days` is missing"),
        ({"city": "Oslo"}, "`days` is missing"),
        (
            {"cty": "Oslo", "days": "x", "kind": "medium"},
            (
                "`cty` is not a parameter (did you mean `city`?); `days` should be a valid integer"
                ", unable to parse string as an integer; `kind` should be 'fast' or 'slow'; "
                "`city` is missing"
            ),
        ),
        (
            {"city": "Oslo", "days": 1, "bugdet": 1},
            "`bugdet` is not a parameter (did you mean `budget`?)",
        ),
        # What is given already is no suggestion.
        ({"city": "Oslo", "days": 1, "citi": 1}, "`citi` is not a parameter"),
        ({"city": "Oslo", "days": 1, "q\n\x1b": 1}, "`q\\n\\x1b` is not a parameter"),
    ],
)
def test_one_message_names_everything_that_is_wrong(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentsRejected) as caught:
        tool_of(trip).validate(arguments)
    assert str(caught.value) == f"arguments rejected: {message}"


def test_names_in_messages_are_public_names() -> None:
    tool = tool_of(trip, parameter("days", rename="nights"))
    with pytest.raises(ArgumentsRejected) as caught:
        tool.validate({"city": "Oslo", "nights": "x", "days": 1})
    assert str(caught.value) == (
        "arguments rejected: `nights` should be a valid integer, unable to parse string as an "
        "integer; `days` is not a parameter"
    )


def test_validation_returns_only_what_was_given_by_python_names() -> None:
    assert tool_of(trip, parameter("days", rename="nights")).validate(
        {"nights": "2", "city": "Oslo"}
    ) == {"days": 2, "city": "Oslo"}


def test_schemas_of_structured_parameters() -> None:
    assert schema_of(taking(Shape)) == {
        "type": "object",
        "properties": {
            "value": {
                "type": "object",
                "description": "A closed line.",
                "properties": {
                    "points": {"type": "array", "items": {"$ref": "#/$defs/Point"}},
                    "colour": {"$ref": "#/$defs/Colour", "default": "red"},
                },
                "required": ["points"],
            }
        },
        "required": ["value"],
        "additionalProperties": False,
        "$defs": {
            "Colour": {"enum": ["red", "blue"], "type": "string"},
            "Point": {
                "type": "object",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
                "required": ["x"],
            },
        },
    }
    assert properties_of(taking(Annotated[int, Field(gt=0, description="How many")])) == {
        "value": {"type": "integer", "exclusiveMinimum": 0, "description": "How many"}
    }


def test_two_types_of_one_name_keep_their_definitions() -> None:
    def made(inner: Any) -> Any:
        class Thing(BaseModel):
            inner: Any

        Thing.__annotations__ = {"value": inner}
        return type("Thing", (BaseModel,), {"__annotations__": {"value": inner}})

    number, text = made(int), made(str)

    def function(a: Any, b: Any, c: Any) -> Any:
        return (a, b, c)

    function.__annotations__ = {"a": list[number], "b": list[text], "c": dict[str, list[text]]}
    schema = schema_of(function)
    assert [schema["properties"][name] for name in "abc"] == [
        {"type": "array", "items": {"$ref": "#/$defs/Thing"}},
        {"type": "array", "items": {"$ref": "#/$defs/Thing2"}},
        {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"$ref": "#/$defs/Thing2"}},
        },
    ]
    assert [schema["$defs"][name]["properties"]["value"]["type"] for name in schema["$defs"]] == [
        "integer",
        "string",
    ]


def test_a_parameter_called_title_keeps_its_name() -> None:
    def function(title: str, default: dict[str, str]) -> Any:
        return (title, default)

    assert properties_of(function) == {
        "title": {"type": "string"},
        "default": {"type": "object", "additionalProperties": {"type": "string"}},
    }


def texts(a: Any, b: int = 0, c: list[int] | None = None, d: str = "") -> Any:
    return (a, b, c, d)


@pytest.mark.parametrize(
    ("given_texts", "result"),
    [
        ({"a": "1"}, ("1", 0, None, "")),
        ({"a": "x", "b": "2", "c": "[1, 2]", "d": "[1]"}, ("x", 2, [1, 2], "[1]")),
    ],
)
def test_arguments_that_come_as_text(given_texts: dict[str, str], result: Any) -> None:
    tool = tool_of(texts)
    assert tool.invoke(tool.validate_texts(given_texts)) == result


@pytest.mark.parametrize(
    ("given_texts", "message"),
    [
        ({"a": "1", "b": "x"}, "`b` should be a valid integer"),
        ({"a": "1", "c": "{}"}, "`c` should be a valid list"),
        ({"a": "1", "c": "[" * 100_000}, "`c` should be a valid list"),
        ({"a": "1", "e": "x"}, "`e` is not a parameter"),
    ],
)
def test_texts_that_do_not_fit(given_texts: dict[str, str], message: str) -> None:
    with pytest.raises(ArgumentsRejected, match=re.escape(message)):
        tool_of(texts).validate_texts(given_texts)


class Node(BaseModel):
    next: Optional["Node"] = None


class Picky(BaseModel):
    even: int

    def model_post_init(self, context: Any, /) -> None:
        if self.even % 2:
            raise ValueError("is\nodd")


def test_errors_of_the_users_own_types() -> None:
    with pytest.raises(ArgumentsRejected) as caught:
        tool_of(taking(Picky)).validate({"value": {"even": 1}})
    assert str(caught.value) == "arguments rejected: `value` is odd"


def test_arguments_that_are_nested_too_deeply() -> None:
    schema = {"$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    tool = tool_of(taking(Any), parameter("value", schema=schema))
    with pytest.raises(ArgumentsRejected) as caught:
        tool.validate({"value": deep})
    assert str(caught.value) == "arguments rejected: `value` is nested too deeply"


def test_a_schema_of_the_manifest_names_the_place() -> None:
    schema = {"type": "object", "properties": {"a": {"items": {"enum": ["x"]}}}}
    tool = tool_of(taking(Any), parameter("value", schema=schema))
    for sent, message in [
        ({"a": [1]}, "`value.a[0]`: 1 is not one of ['x']"),
        ("y" * 300, f"`value`: '{'y' * 198}…"),
    ]:
        with pytest.raises(ArgumentsRejected) as caught:
            tool.validate({"value": sent})
        assert str(caught.value) == f"arguments rejected: {message}"


def test_problems_that_are_plain_errors() -> None:
    assert describe_problem("a", ValueError("odd\x1b"), 1) == "`a`: odd\\x1b"


def test_a_position_that_nothing_fills_is_named_by_its_public_name() -> None:
    slots = (Slot("a", "first", None, required=False), Slot("b", "b", None, required=False))
    layout = Layout(ordered=(("a", EMPTY), ("b", EMPTY)), positional_only=2)
    arguments = Arguments(slots, {}, layout)
    assert arguments.arrange(arguments.validate({"first": 1})) == ([1], {})
    with pytest.raises(ArgumentsRejected) as caught:
        arguments.validate({"b": 1})
    assert str(caught.value) == (
        "arguments rejected: `first` is missing, and what follows it needs it"
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def kinds(value: Any) -> Any:
    """Return the value with the type of each part, so that 1, 1.0 and True stay apart."""
    if isinstance(value, dict):
        return {name: kinds(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [kinds(item) for item in cast("list[Any]", value)]
    return (type(value), value)


@settings(max_examples=50)
@given(json_values)
def test_untyped_arguments_and_results_come_back_as_they_were(value: Any) -> None:
    def echo(value: Any) -> Any:
        return value

    tool = tool_of(without_hints(echo))
    assert kinds(tool.dump(call(tool, {"value": value}))) == kinds(value)
