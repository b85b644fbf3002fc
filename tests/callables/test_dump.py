"""Values of undeclared type: each has one JSON form, or an error that names its type and place."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import ipaddress
import itertools
import math
import pathlib
import re
import sys
import types
import uuid
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, SecretStr

from meshd.callables.dump import bounded, dump, in_order, sendable, with_sets_in_order
from meshd.errors import ResultRejected


class Pair(NamedTuple):
    left: int
    right: str


class Level(enum.IntEnum):
    LOW = 1


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Model(BaseModel):
    name: str
    tags: set[str] = set()
    secret: SecretStr = SecretStr("s")


@dataclasses.dataclass
class Leg:
    start: str
    when: Any


class Matrix:
    """Stands for the arrays of numpy and the frames of pandas."""

    def tolist(self) -> list[Any]:
        return [[1, 2.5], [None, b"a"]]


class Mapped(collections.UserDict[str, int]):
    pass


UTC = datetime.UTC
LETTERS = set("qwertyuiopasdfgh")

FORMS: list[Any] = [
    (datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "2020-01-02T03:04:05Z"),
    (datetime.date(2020, 1, 2), "2020-01-02"),
    (datetime.time(3, 4), "03:04:00"),
    (datetime.timedelta(seconds=90), "PT1M30S"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.Path("/a/b"), "/a/b"),
    (pathlib.PureWindowsPath("a"), "a"),
    (fractions.Fraction(1, 3), "1/3"),
    (1 + 2j, "1+2j"),
    (re.compile("a+"), "a+"),
    (AnyUrl("http://a/b"), "http://a/b"),
    (ipaddress.ip_address("127.0.0.1"), "127.0.0.1"),
    (ipaddress.ip_network("::/64"), "::/64"),
    (b"\xff\x00", "/wA="),
    (bytearray(b"a"), "YQ=="),
    (memoryview(b"abcd")[::2], "YWM="),
    (Level.LOW, 1),
    (Colour.RED, "red"),
    (Colour.PAIR, [1, 2]),
    (Name("a"), "a"),
    (True, True),
    ((1, (2,)), [1, [2]]),
    (Pair(1, "a"), [1, "a"]),
    (collections.deque([1]), [1]),
    (array.array("d", [1.5]), [1.5]),
    (collections.UserList([1]), [1]),
    (range(3), [0, 1, 2]),
    (LETTERS, sorted(LETTERS)),
    ({10, 9, 1}, [1, 9, 10]),
    (frozenset({1.5, 1}), [1, 1.5]),
    ({None, "a", 1, (2, "b")}, ["a", 1, [2, "b"], None]),
    ({frozenset({2}), frozenset({1}), frozenset()}, [[], [1], [2]]),
    ({"b": 1, "a": 2}.keys(), ["b", "a"]),
    ({"b": 1}.items(), [["b", 1]]),
    ({"b": 1}.values(), [1]),
    ((n for n in "ab"), ["a", "b"]),
    (map(str, [1]), ["1"]),
    (itertools.islice(itertools.count(), 10_000), list(range(10_000))),
    ({1: "a", None: "b", False: "c"}, {"1": "a", "None": "b", "false": "c"}),
    ({1.5: 1, Colour.RED: 2, Level.LOW: 3}, {"1.5": 1, "red": 2, "1": 3}),
    ({datetime.date(2020, 1, 2): 1}, {"2020-01-02": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (Mapped(a=1), {"a": 1}),
    (types.SimpleNamespace(a={"b": b"a"}), {"a": {"b": "YQ=="}}),
    (Leg("a", datetime.date(2020, 1, 2)), {"start": "a", "when": "2020-01-02"}),
    (
        Model(name="a", tags=LETTERS),
        {"name": "a", "tags": sorted(LETTERS), "secret": "**********"},
    ),
    (Matrix(), [[1, 2.5], [None, "YQ=="]]),
    (10**4000, 10**4000),
    (-0.0, -0.0),
]


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_forms(value: Any, form: Any) -> None:
    found = dump(value)
    assert (type(found), found) == (type(form), form)


@pytest.mark.parametrize("value", [Level.LOW, Name("a"), decimal.Decimal(1)])
def test_subclasses_of_plain_types_become_plain(value: Any) -> None:
    assert type(dump([value])[0]) in (str, int)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def in_itself() -> Any:
    value: dict[str, Any] = {}
    value["a"] = [value]
    return value


class Unsendable(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: object = dataclasses.field(default_factory=object)


UNSENDABLE = (
    "`{}` is of type `{}`, which has no JSON form; take a part of it with `result.select`, or say "
    "what it is with `result.type`"
)

ERRORS = [
    (object(), UNSENDABLE.format("result", "object")),
    ({"a": [1, object()]}, UNSENDABLE.format("result.a[1]", "object")),
    (Leg("a", object()), UNSENDABLE.format("result.when", "object")),
    (types.SimpleNamespace(a=len), UNSENDABLE.format("result.a", "builtin_function_or_method")),
    (sys, UNSENDABLE.format("result", "module")),
    (nested, UNSENDABLE.format("result", "function")),
    (ValueError("x"), UNSENDABLE.format("result", "ValueError")),
    (int, UNSENDABLE.format("result", "type")),
    (Leg, UNSENDABLE.format("result", "type")),
    (Colour, UNSENDABLE.format("result", "enum.EnumType")),
    (..., UNSENDABLE.format("result", "ellipsis")),
    (slice(1), UNSENDABLE.format("result", "slice")),
    (re.match("a", "a"), UNSENDABLE.format("result", "re.Match")),
    (io.BytesIO(b"a"), UNSENDABLE.format("result", "_io.BytesIO")),
    ({object(): 1}, UNSENDABLE.format("result (a key)", "object")),
    ({b"\xff": 1}, UNSENDABLE.format("result (a key)", "bytes")),
    (math.nan, "`result` is nan, which JSON cannot say; return None instead"),
    ([math.inf], "`result[0]` is inf, which JSON cannot say; return None instead"),
    ({"a": -math.inf}, "`result.a` is -inf, which JSON cannot say; return None instead"),
    (
        [10**5000],
        "`result[0]` is an integer of more than 4,000 digits; return text instead",
    ),
    (
        ["\ud800"],
        "`result[0]` is text with half a character (a lone surrogate), which cannot be sent",
    ),
    (
        [pathlib.Path("\udcff")],
        "`result[0]` is text with half a character (a lone surrogate), which cannot be sent",
    ),
    (
        {"\ud800": 1},
        "`result` is text with half a character (a lone surrogate), which cannot be sent",
    ),
    (in_itself(), "`result.a[0]` holds itself, which JSON cannot say"),
    (nested(1000), "the result is nested deeper than 100 levels"),
    ({1: "a", "1": "b"}, "`result` has two keys that JSON writes as `1`"),
    (
        itertools.count(),
        "`result` yields more than 10,000 items; return a list, or fewer items",
    ),
    (
        {"a": itertools.repeat(1)},
        "`result.a` yields more than 10,000 items; return a list, or fewer items",
    ),
    (range(10**9), "`result` yields more than 10,000 items; return a list, or fewer items"),
]


@pytest.mark.parametrize(("value", "message"), ERRORS)
def test_errors(value: Any, message: str) -> None:
    with pytest.raises(ResultRejected) as caught:
        dump(value)
    assert str(caught.value) == message
    assert "0x" not in message


def test_a_hundred_levels_are_enough() -> None:
    assert dump(nested(100)) == nested(100)
    with pytest.raises(ResultRejected):
        dump(nested(101))


def test_what_is_there_twice_but_not_inside_itself_is_sent_twice() -> None:
    twice = [1]
    assert dump({"a": twice, "b": [twice, twice]}) == {"a": [1], "b": [[1], [1]]}


def test_lists_may_be_longer_than_iterators() -> None:
    assert len(cast("list[int]", dump([0] * 10_001))) == 10_001


def test_a_model_that_cannot_be_written() -> None:
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        inner: Any

    with pytest.raises(ResultRejected) as caught:
        dump([Odd(inner=object())])
    assert "`object`" in str(caught.value)
    assert dump(Odd(inner=Matrix())) == {"inner": [[1, 2.5], [None, "YQ=="]]}
    assert dump(Odd(inner={"a": {10, 9}})) == {"inner": {"a": [9, 10]}}
    with pytest.raises(ResultRejected, match=r"of type `.*Odd` cannot be written as JSON"):
        dump([Odd(inner=b"\xff")])


def test_what_the_users_code_raises_while_it_is_read_passes_through() -> None:
    def failing() -> Any:
        yield 1
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        dump(failing())


def test_other_places_get_no_advice_on_results() -> None:
    with pytest.raises(ResultRejected) as caught:
        dump({"a": object()}, "place")
    assert str(caught.value) == "`place.a` is of type `object`, which has no JSON form"


def test_sendable_gives_json_values_back_as_they_are() -> None:
    value = {"a": [1, "é", None, 1.5, True]}
    assert sendable(value) is value
    with pytest.raises(ResultRejected, match=r"`result\.a\[0\]` is nan"):
        sendable({"a": [math.nan]})


def test_bounded_takes_one_item_more_than_it_gives() -> None:
    endless = itertools.count()
    with pytest.raises(ResultRejected):
        bounded(endless, "result")
    assert next(endless) == 10_001
    assert bounded(iter("ab"), "result") == ["a", "b"]


@given(st.sets(st.integers() | st.text() | st.none() | st.tuples(st.integers(), st.text())))
def test_the_order_of_a_set_does_not_depend_on_the_order_it_was_filled_in(items: set[Any]) -> None:
    forward, backward = list(items), list(reversed(list(items)))
    dumped = [dump(item) for item in forward]
    assert in_order([dump(item) for item in backward]) == in_order(dumped) == dump(items)


def test_only_lists_that_are_sets_are_put_in_order() -> None:
    dumped = {"a": [3, 1], "b": [[2, 1], 5], "c": "x"}
    python = {"a": {1, 3}, "b": (frozenset({1, 2}), 5), "c": {1}}
    assert with_sets_in_order(dumped, python) == {"a": [1, 3], "b": [[1, 2], 5], "c": "x"}
    assert with_sets_in_order([3, 1], "custom") == [3, 1]
