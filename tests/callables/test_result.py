"""Results: always wrapped, held to what is declared, and otherwise sent by their own types."""

import collections
import dataclasses
import datetime
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from types import SimpleNamespace
from typing import Any, List, TypedDict  # noqa: UP035  (what users write)

import jsonschema
import mcp.types
import pytest
from fastmcp.utilities.types import Image
from pydantic import BaseModel, Field, field_serializer

from meshd.domain.spec import ResultSpec
from meshd.errors import ResultRejected
from tests.callables.compiling import LoadedTool, problems_of, tool_of


class Leg(BaseModel):
    start: str = Field(alias="from")
    tags: set[str] = set()


@dataclasses.dataclass
class Trip:
    legs: list[Leg]
    price: float = 0.0


class Priced(TypedDict):
    price: float
    keys: set[int]


class Raising(BaseModel):
    value: int

    @field_serializer("value")
    def _serialized(self, value: int) -> int:
        raise ValueError(f"no {value}")


def returning(annotation: Any) -> Callable[..., Any]:
    def function() -> Any: ...

    function.__annotations__ = {"return": annotation}
    return function


def sent(annotation: Any, value: Any) -> Any:
    """Dump the value, and check it against the schema as a client does."""
    tool = tool_of(returning(annotation))
    dumped = tool.dump(value)
    assert tool.signature.output_schema is not None
    jsonschema.validate({"result": dumped}, tool.signature.output_schema)
    return dumped


def inner_schema(tool: LoadedTool) -> Any:
    schema = tool.signature.output_schema
    assert schema is not None
    assert (schema["type"], schema["required"]) == ("object", ["result"])
    assert schema["x-fastmcp-wrap-result"] is True
    assert list(schema["properties"]) == ["result"]
    return schema["properties"]["result"]


@pytest.mark.parametrize("value", ["123", 123, [], {}, "", None, False, 0, 1.0, {"result": 1}])
def test_values_stay_apart(value: Any) -> None:
    def function():
        return value

    dumped = tool_of(function).dump(value)
    assert (type(dumped), dumped) == (type(value), value)


OUTPUT_SCHEMAS: list[Any] = [
    (int, {"type": "integer"}),
    (None, {"type": "null"}),
    (Any, {}),
    (object, {}),
    (bytes, {"type": "string", "contentEncoding": "base64"}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (List, {"type": "array", "items": {}}),  # noqa: UP006
    (dict, {"type": "object", "additionalProperties": True}),
    (Awaitable[int], {"type": "integer"}),
    (Coroutine[Any, Any, int], {"type": "integer"}),
    (Iterator[int], {"type": "array", "items": {"type": "integer"}}),
    (Generator[int, None, None], {"type": "array", "items": {"type": "integer"}}),
    (Generator, {"type": "array", "items": {}}),
    (Callable[[], int], {}),
    (type(re), {}),
]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    OUTPUT_SCHEMAS,
)
def test_output_schemas(annotation: Any, schema: Any) -> None:
    assert inner_schema(tool_of(returning(annotation))) == schema


def test_definitions_of_the_output_schema_are_at_its_top() -> None:
    assert tool_of(returning(list[Leg])).signature.output_schema == {
        "type": "object",
        "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/Leg"}}},
        "required": ["result"],
        "x-fastmcp-wrap-result": True,
        "$defs": {
            "Leg": {
                "type": "object",
                "properties": {
                    "from": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
                    | {"default": []},
                },
                "required": ["from"],
            }
        },
    }


LEG = Leg.model_validate({"from": "a", "tags": set("qwertyuiop")})
SENT_LEG = {"from": "a", "tags": sorted("qwertyuiop")}


@pytest.mark.parametrize(
    ("annotation", "value", "dumped"),
    [
        (int, 1, 1),
        (int, "1", 1),
        (float, 1, 1.0),
        (str, "1", "1"),
        (None, None, None),
        (bool, True, True),
        (datetime.date, datetime.date(2020, 1, 2), "2020-01-02"),
        (bytes, b"\xff", "/w=="),
        (list[bytes], [b"\xff"], ["/w=="]),
        (tuple[int, ...], (1, 2), [1, 2]),
        (set[str], set("qwertyuiop"), sorted("qwertyuiop")),
        (set[int], {10, 9, 1}, [1, 9, 10]),
        (dict[str, set[int]], {"a": {10, 9}}, {"a": [9, 10]}),
        (list[set[int]], [{10, 9}], [[9, 10]]),
        (dict[int, str], {1: "a"}, {"1": "a"}),
        (list[int], range(3), [0, 1, 2]),
        (list[int], iter([1]), [1]),
        (list[str], {"a": 1}.keys(), ["a"]),
        (Iterable[int], (n for n in (1, 2)), [1, 2]),
        (Leg, LEG, SENT_LEG),
        (Leg, {"from": "a"}, {"from": "a", "tags": []}),
        (Trip, Trip([LEG]), {"legs": [SENT_LEG], "price": 0.0}),
        (Priced, {"price": 1, "keys": {10, 9}}, {"price": 1.0, "keys": [9, 10]}),
        # What is declared to be anything is sent as if nothing were declared.
        (dict, {"a": b"\xff", "b": {10, 9}}, {"a": "/w==", "b": [9, 10]}),
        (dict[str, Any], {"a": SimpleNamespace(b=LEG)}, {"a": {"b": SENT_LEG}}),
        (list, [datetime.date(2020, 1, 2), range(2)], ["2020-01-02", [0, 1]]),
        (list[Any], [collections.deque([1])], [[1]]),
        (Any, LEG, SENT_LEG),
        (Any, [Trip([LEG])], [{"legs": [SENT_LEG], "price": 0.0}]),
    ],
)
def test_declared_results(annotation: Any, value: Any, dumped: Any) -> None:
    found = sent(annotation, value)
    assert (type(found), found) == (type(dumped), dumped)


def test_objects_with_the_attributes_of_a_model_are_taken_for_it() -> None:
    class Price(BaseModel):
        amount: int

    assert sent(Price, SimpleNamespace(amount=1, more=2)) == {"amount": 1}


def cycle() -> Any:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (
            int,
            "one",
            (
                "the result is declared `int`, but the callable returned `str`: `result` should be "
                "a valid integer, unable to parse string as an integer"
            ),
        ),
        (
            str,
            None,
            (
                "the result is declared `str`, but the callable returned `None`: `result` should "
                "be a valid string"
            ),
        ),
        (
            list[int],
            [1, "x"],
            (
                "the result is declared `list[int]`, but the callable returned `list`: `result[1]` "
                "should be a valid integer, unable to parse string as an integer"
            ),
        ),
        (
            Leg,
            object(),
            (
                f"the result is declared `{__name__}.Leg`, but the callable returned `object`: "
                "`result` should be a valid dictionary or object to extract fields from"
            ),
        ),
        (float, float("nan"), "`result` is nan, which JSON cannot say; return None instead"),
        (
            list[float],
            [1.0, float("-inf")],
            "`result[1]` is -inf, which JSON cannot say; return None instead",
        ),
        (
            dict,
            {"a": float("nan")},
            "`result` is nan, which JSON cannot say; return None instead",
        ),
        (
            dict[str, Any],
            {"a": object()},
            (
                "`result` is of type `object`, which has no JSON form; take a part of it with "
                "`result.select`, or say what it is with `result.type`"
            ),
        ),
        (
            dict[str, object],
            {"a": object()},
            (
                "`result` is of type `object`, which has no JSON form; take a part of it with "
                "`result.select`, or say what it is with `result.type`"
            ),
        ),
        (
            str,
            "\ud800",
            "`result` is text with half a character (a lone surrogate), which cannot be sent",
        ),
        (
            Raising,
            Raising(value=1),
            (
                f"the result is declared `{__name__}.Raising`, and the `{__name__}.Raising` "
                "returned cannot be written as that: Error calling function `_serialized`: "
                "ValueError: no 1"
            ),
        ),
    ],
)
def test_results_that_do_not_fit_what_is_declared(
    annotation: Any, value: Any, message: str
) -> None:
    with pytest.raises(ResultRejected) as caught:
        tool_of(returning(annotation)).dump(value)
    assert str(caught.value) == message


def test_a_declared_result_that_holds_itself_is_an_error() -> None:
    for annotation in (list, list[Any], Any):
        with pytest.raises(ResultRejected):
            tool_of(returning(annotation)).dump(cycle())


def numbers(n: int) -> Iterator[int]:
    yield from range(n)


async def texts() -> AsyncIterator[bytes]:
    yield b"a"


async def async_generator() -> AsyncGenerator[set[int], None]:
    yield {1}


def untyped_generator():
    yield 1


def oddly_typed_generator() -> Any:
    yield 1


def bare_generator() -> Generator:  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]
    yield 1


GENERATORS: list[Any] = [
    (numbers, {"type": "integer"}, 1, 1),
    (texts, {"type": "string", "contentEncoding": "base64"}, b"a", "YQ=="),
    (
        async_generator,
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        {10, 9},
        [9, 10],
    ),
    (untyped_generator, {}, b"a", "YQ=="),
    (oddly_typed_generator, {}, [1], [1]),
    (bare_generator, {}, "x", "x"),
]


@pytest.mark.parametrize(
    ("function", "items", "chunk", "dumped"),
    GENERATORS,
)
def test_generators_send_chunks_and_the_list_of_them(
    function: Callable[..., Any], items: Any, chunk: Any, dumped: Any
) -> None:
    tool = tool_of(function)
    assert inner_schema(tool) == {"type": "array", "items": items}
    assert tool.dump_item(chunk) == dumped
    assert tool.dump([chunk, chunk]) == [dumped, dumped]
    assert tool.dump([]) == []


def test_chunks_that_do_not_fit() -> None:
    with pytest.raises(ResultRejected, match="is declared `int`, but the callable returned `str`"):
        tool_of(numbers).dump_item("x")


def test_the_manifests_schema_describes_and_checks() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}
    tool = tool_of(returning(Any), ResultSpec(schema=schema))
    assert inner_schema(tool) == {
        **schema,
        "items": {"$ref": "#/properties/result/$defs/n"},
    }
    assert tool.dump((1, 2)) == [1, 2]
    with pytest.raises(ResultRejected) as caught:
        tool.dump(["x"])
    assert str(caught.value) == (
        "the result does not match `result.schema`: [0]: 'x' is not of type 'integer'"
    )
    chunks = tool_of(numbers, ResultSpec(schema={"minimum": 1}))
    assert inner_schema(chunks) == {"type": "array", "items": {"minimum": 1}}
    with pytest.raises(ResultRejected):
        chunks.dump_item(0)


def test_the_manifests_type_replaces_the_annotation() -> None:
    tool = tool_of(returning(int), ResultSpec(type="str"))
    assert inner_schema(tool) == {"type": "string"}
    assert tool.dump("x") == "x"
    with pytest.raises(ResultRejected, match="is declared `str`"):
        tool.dump(1)


def test_what_is_wrong_with_a_result() -> None:
    found = problems_of(
        returning(int), ResultSpec(type="strr", schema={"type": "x"}, select={"a": "b..c"})
    )
    assert [(code, message) for code, message, _, _ in found] == [
        ("M247", "`strr` is not a type for values"),
        ("M251", "`b..c` is not a path into a result"),
        ("M248", "the schema of the result is not a JSON Schema"),
    ]


def test_select_of_a_result() -> None:
    one = tool_of(returning(Trip), ResultSpec(select="legs.0.start"))
    assert inner_schema(one) == {}
    assert one.dump(Trip([LEG])) == "a"
    typed = tool_of(returning(Any), ResultSpec(select="a", type="int"))
    assert inner_schema(typed) == {"type": "integer"}
    assert typed.dump({"a": "1"}) == 1
    many = tool_of(returning(Any), ResultSpec(select={"x": "a.b", "y": "c"}))
    assert inner_schema(many) == {
        "type": "object",
        "properties": {"x": {}, "y": {}},
        "required": ["x", "y"],
    }
    assert many.dump({"a": {"b": b"a"}, "c": [1]}) == {"x": "YQ==", "y": [1]}
    with pytest.raises(ResultRejected, match=r"the result has no `a`; correct `result\.select`"):
        many.dump({})


TEXT = mcp.types.TextContent(type="text", text="a")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Image, Image(data=b"a", format="png")),
        (mcp.types.TextContent, TEXT),
        (list[mcp.types.TextContent], [TEXT]),
        (list[str | Image], ["a"]),
        (Image | None, None),
        (Awaitable[Image], Image(data=b"a", format="png")),
    ],
)
def test_mcp_content_is_passed_as_it_is(annotation: Any, value: Any) -> None:
    tool = tool_of(returning(annotation))
    assert tool.signature.mcp_content
    assert tool.signature.output_schema is None
    assert tool.dump(value) is value
    assert tool.dump_item(value) is value


@pytest.mark.parametrize("value", [TEXT, [TEXT, "a"]])
def test_mcp_content_that_is_not_declared_is_passed_too(value: Any) -> None:
    tool = tool_of(returning(Any))
    assert not tool.signature.mcp_content
    assert tool.dump(value) is value
