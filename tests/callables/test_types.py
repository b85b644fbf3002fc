"""The types that a manifest may name, and what is made of those that Python knows."""

import base64
import collections.abc
import datetime
import decimal
import pathlib
import typing
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, ForwardRef, TypedDict

import pytest

from meshd.callables.types import (
    KEYWORDS,
    Base64,
    CannotDescribe,
    adapter_of,
    describable,
    members,
    schema_of,
    type_name,
    unwrapped,
)
from meshd.domain.spec import ResultSpec
from meshd.errors import ArgumentsRejected
from tests.callables.compiling import (
    call,
    parameter,
    problems_of,
    properties_of,
    tool_of,
)
from tests.callables.project import loader, write


def echo(value: Any) -> Any:
    return value


UTC = datetime.UTC
BYTES = b"\x00\xfftext"

KEYWORD_CASES: list[Any] = [
    (
        "datetime",
        {"type": "string", "format": "date-time"},
        "2020-01-02T03:04:05Z",
        datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        "yesterday",
    ),
    ("date", {"type": "string", "format": "date"}, "2020-01-02", datetime.date(2020, 1, 2), "x"),
    ("time", {"type": "string", "format": "time"}, "03:04:05", datetime.time(3, 4, 5), "x"),
    (
        "timedelta",
        {"type": "string", "format": "duration"},
        "PT1M30S",
        datetime.timedelta(seconds=90),
        "soon",
    ),
    ("Decimal", None, "1.10", decimal.Decimal("1.10"), "x"),
    (
        "bytes",
        {"type": "string", "contentEncoding": "base64"},
        base64.b64encode(BYTES).decode(),
        BYTES,
        "é",
    ),
    ("utf8", {"type": "string"}, "é", "é".encode(), 1),
    ("path", {"type": "string", "format": "path"}, "a/b", pathlib.Path("a/b"), 1),
    ("set", {"type": "array", "items": {}, "uniqueItems": True}, [1, 2], {1, 2}, 1),
    ("frozenset", {"type": "array", "items": {}, "uniqueItems": True}, [1], frozenset({1}), "x"),
    (
        "UUID",
        {"type": "string", "format": "uuid"},
        "00000000-0000-0000-0000-000000000001",
        uuid.UUID(int=1),
        "x",
    ),
    ("complex", None, "1+2j", 1 + 2j, "x"),
    ("str", {"type": "string"}, "x", "x", 1),
    ("int", {"type": "integer"}, 1, 1, "x"),
    ("float", {"type": "number"}, 1.5, 1.5, "x"),
    ("bool", {"type": "boolean"}, True, True, "x"),
    ("list", {"type": "array", "items": {}}, [1], [1], 1),
    ("dict", {"type": "object", "additionalProperties": True}, {"a": 1}, {"a": 1}, 1),
]


@pytest.mark.parametrize(("keyword", "schema", "sent", "value", "wrong"), KEYWORD_CASES)
def test_keywords_convert_arguments(
    keyword: str, schema: Any, sent: Any, value: Any, wrong: Any
) -> None:
    tool = tool_of(echo, parameter("value", type=keyword))
    if schema is not None:
        assert tool.signature.input_schema["properties"] == {"value": schema}
    received = call(tool, {"value": sent})
    assert received == value
    assert isinstance(received, type(value))
    with pytest.raises(ArgumentsRejected):
        tool.validate({"value": wrong})


@pytest.mark.parametrize(("keyword", "schema", "sent", "value", "wrong"), KEYWORD_CASES)
def test_keywords_convert_results_back(
    keyword: str, schema: Any, sent: Any, value: Any, wrong: Any
) -> None:
    tool = tool_of(echo, ResultSpec(type=keyword))
    assert tool.dump(value) == sent
    assert tool.signature.output_schema is not None
    if schema is not None:
        assert tool.signature.output_schema["properties"] == {"result": schema}


def test_every_keyword_has_a_case() -> None:
    assert {case[0] for case in KEYWORD_CASES} | {"any"} == set(KEYWORDS)
    assert call(tool_of(echo, parameter("value", type="any")), {"value": [1]}) == [1]


MODULE = """
    import dataclasses
    import typing
    from pydantic import BaseModel

    @dataclasses.dataclass
    class Trip:
        city: str
        days: int = 1

    class Model(BaseModel):
        trips: list[Trip]

    class Plain:
        pass

    Trips = list[Trip]
    Either = int | Trip
    Name = typing.NewType("Name", str)
"""


def test_types_of_the_users_own(tmp_path: Path) -> None:
    roots = loader(write(tmp_path, {"own_types.py": MODULE}))

    def received(type_text: str, sent: Any) -> Any:
        tool = tool_of(echo, parameter("value", type=type_text), loader=roots)
        return call(tool, {"value": sent})

    trip = received("own_types:Trip", {"city": "Oslo"})
    assert (type(trip).__name__, trip.city, trip.days) == ("Trip", "Oslo", 1)
    assert received("own_types:Model", {"trips": [{"city": "a"}]}).trips[0].city == "a"
    assert received("own_types:Trips", [{"city": "a", "days": 2}])[0].days == 2
    assert received("own_types:Either", 3) == 3
    assert received("own_types:Name", "x") == "x"
    result = tool_of(echo, ResultSpec(type="own_types:Trip"), loader=roots)
    assert result.dump(trip) == {"city": "Oslo", "days": 1}
    assert result.dump({"city": "Oslo"}) == {"city": "Oslo", "days": 1}


@pytest.mark.parametrize(
    ("type_text", "code", "message", "label", "hint"),
    [
        (
            "own_types:Plain",
            "M247",
            "`own_types:Plain` is not a type for values",
            "`own_types.Plain` has no JSON form",
            "name a dataclass, a pydantic model, a TypedDict or an Enum",
        ),
        (
            "own_types:Tripp",
            "M223",
            "`own_types:Tripp` not found",
            "module `own_types` has no `Tripp`",
            "did you mean `Trip`?",
        ),
        (
            "strr",
            "M247",
            "`strr` is not a type for values",
            "it is neither known nor `module:Class`",
            "did you mean `str`?",
        ),
        (
            "\x1bqqqq",
            "M247",
            "`\\x1bqqqq` is not a type for values",
            "it is neither known nor `module:Class`",
            f"known: {', '.join(KEYWORDS)}",
        ),
    ],
)
def test_what_is_no_type(
    tmp_path: Path, type_text: str, code: str, message: str, label: str, hint: str
) -> None:
    roots = loader(write(tmp_path, {"own_types.py": MODULE}))
    for said in (parameter("value", type=type_text), ResultSpec(type=type_text)):
        assert problems_of(echo, said, loader=roots) == [(code, message, label, hint)]


@pytest.mark.parametrize(
    ("annotation", "described"),
    [
        (bytes, Base64),
        (int, int),
        (list[bytes], list[Base64]),
        (dict[str, list[bytes]], dict[str, list[Base64]]),
        (tuple[bytes, ...], tuple[Base64, ...]),
        (bytes | None, typing.Union[Base64, None]),  # noqa: UP007
        (Annotated[bytes, "x"], Annotated[Base64, "x"]),
        (Base64, Base64),
        (typing.Literal["a"], typing.Literal["a"]),
        (collections.abc.Iterable, list[Any]),
        (typing.Iterable, list[Any]),
        (collections.abc.Iterator[bytes], list[Base64]),
        (list, list[Any]),
        (dict, dict[Any, Any]),
    ],
)
def test_describable(annotation: Any, described: Any) -> None:
    assert describable(annotation) == described


class Inner(TypedDict):
    key: bytes


class Outer(TypedDict, total=False):
    """What is outside."""

    inner: typing.Required[Inner]
    others: list[Inner]


class Recursive(TypedDict):
    children: list["Recursive"]


def test_typed_dicts_of_every_python_are_described() -> None:
    def function(value: Outer) -> Any:
        return value

    assert properties_of(function) == {
        "value": {
            "type": "object",
            "description": "What is outside.",
            "properties": {
                "inner": {"$ref": "#/$defs/Inner"},
                "others": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
            },
            "required": ["inner"],
        }
    }
    received = call(tool_of(function), {"value": {"inner": {"key": "AA=="}}})
    assert received == {"inner": {"key": b"\x00"}}


class Broken(TypedDict):
    field: Any


Broken.__annotations__ = {"field": ForwardRef("Nowhere")}


INDESCRIBABLE: list[Any] = [
    (Callable[[], int], "`collections.abc.Callable[[], int]` has no JSON form"),
    (type(pytest), "`module` has no JSON form"),
    (Path.__class__, "`type` has no JSON form"),
    (3, "`3` has no JSON form"),
    (Broken, f"`{__name__}.Broken` mentions `Nowhere`, which is not defined"),
]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    INDESCRIBABLE,
)
def test_what_cannot_be_described(annotation: Any, reason: str) -> None:
    with pytest.raises(CannotDescribe) as caught:
        schema_of(adapter_of(annotation), annotation, "validation")
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (type(None), "None"),
        (Base64, "bytes"),
        (datetime.date, "datetime.date"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
    ],
)
def test_type_names(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name


def test_members_and_wrappers() -> None:
    assert members(Annotated[int | Annotated[str, 1] | None, "x"]) == (int, str)
    assert members(int) == (int,)
    assert unwrapped(Coroutine[Any, Any, int], collections.abc.Coroutine) is int
    assert unwrapped(Awaitable[int], collections.abc.Coroutine) == Awaitable[int]
    assert unwrapped(typing.Awaitable, collections.abc.Awaitable) is typing.Awaitable
