# pyright: basic
"""Callables of every kind, for comparing the ways in which their agent answers.

Each answers the same on every call. `result` and `raises` choose what they do by name, so that the
requests alone decide what is compared.
"""

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import itertools
import pathlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal, NoReturn, Optional, TypedDict, Union

from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_http_headers, get_http_request
from fastmcp.tools.base import ToolResult
from fastmcp.utilities.types import Image
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, InputRequiredResult, TextContent
from pydantic import BaseModel, ConfigDict, Field

from meshd.runtime.context import current_call


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Item(BaseModel):
    name: str
    price: decimal.Decimal = decimal.Decimal("1.50")
    tags: list[str] = []


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int
    items: list[Item]
    placed: datetime.datetime | None = None
    note: Annotated[str, Field(max_length=20)] = ""


class Aliased(BaseModel):
    from_: int = Field(alias="from")
    to: int = 0


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Movie(TypedDict, total=False):
    title: str
    year: int


class Pair(collections.namedtuple("Pair", "left right")):
    pass


class Awkward(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


# Numbers, texts and flags


async def add(a: int, b: int) -> int:
    return a + b


def add_in_a_thread(a: int, b: int = 2) -> int:
    return a + b


async def multiply(a: float, b: float = 1.5) -> float:
    return a * b


async def negate(flag: bool) -> bool:
    return not flag


async def shout(text: str, times: int = 1) -> str:
    return text.upper() * min(times, 4)


async def bounded(
    n: Annotated[int, Field(ge=0, le=100)], s: Annotated[str, Field(pattern="^a*$")]
) -> str:
    return s * n


async def paint(colour: Colour, level: Level = Level.LOW) -> dict[str, Any]:
    return {"colour": colour, "level": level}


async def pick(one: Literal["a", "b", 3] = "a") -> str | int:
    return one


# Unions and containers


async def either(value: Union[int, str]) -> int | str:  # noqa: UP007
    return value


async def number_or_nothing(value: Optional[float] = None) -> float | None:  # noqa: UP045
    return value


async def total(numbers: list[int]) -> int:
    return sum(numbers)


async def merged(
    mapping: dict[str, int], more: dict[str, list[float]] | None = None
) -> dict[str, Any]:
    return {**mapping, **(more or {})}


async def pairs(values: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return values


async def unique(values: set[int]) -> set[int]:
    return values


# Structures


async def order(order: Order) -> Order:
    return order


async def order_or_point(value: Order | Point) -> dict[str, Any]:
    return {"kind": type(value).__name__, "value": value}


def move(point: Point, by: Point | None = None) -> Point:
    by = by or Point(1, 1)
    return Point(point.x + by.x, point.y + by.y)


async def film(movie: Movie) -> Movie:
    return movie


async def aliased(value: Aliased) -> Aliased:
    return value


async def when(at: datetime.datetime, day: datetime.date | None = None) -> dict[str, Any]:
    return {"at": at, "day": day}


async def words(
    data: bytes, key: uuid.UUID | None = None, path: pathlib.Path | None = None
) -> dict[str, Any]:
    return {"size": len(data), "key": key, "path": path}


# Signatures


async def nothing() -> None:
    return None


def untyped(a, b=None):  # type: ignore[no-untyped-def]
    return [a, b]


async def echo(value: Any = None) -> Any:
    return value


async def anything(**kwargs: Any) -> Any:
    return kwargs


async def numbers(**kwargs: int) -> dict[str, int]:
    return kwargs


def variadic(first: int, *rest: int, last: str = "z") -> list[Any]:
    return [first, rest, last]


def by_position(a: int, b: int = 2, /, c: int = 3) -> list[int]:
    return [a, b, c]


async def renamed(python_name: int, hidden: str = "kept", other: str = "o") -> list[Any]:
    return [python_name, hidden, other]


async def underscored(_private: int = 1, self: int = 2) -> list[int]:
    return [_private, self]


async def unannotated_result(value: int):  # type: ignore[no-untyped-def]
    return {"value": value}


async def arguments(name: str = "", arguments: dict[str, Any] | None = None) -> list[Any]:
    return [name, arguments]


def traced(_trace_id: str = "", value: int = 0) -> list[Any]:
    return [_trace_id, value]


async def needing(other: Any = None) -> str:
    return "without" if other is None else "with"


async def annotated(a: int, b: str = "x") -> list[Any]:
    return [a, b]


# Taking their time

ENDED: list[str] = []


async def slow(seconds: float = 0.06) -> str:
    await asyncio.sleep(min(seconds, 0.2))  # noqa: TID251
    return "late"


async def slow_ticks(n: int = 2) -> AsyncIterator[int]:
    for i in range(min(n, 20)):
        await asyncio.sleep(0.01)  # noqa: TID251
        yield i


async def endless() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ENDED.append("endless")


async def endless_ticks() -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0)  # noqa: TID251
    finally:
        ENDED.append("endless_ticks")


# In chunks


async def ticks(n: int = 3) -> AsyncIterator[int]:
    for i in range(min(n, 20)):
        yield i


def lines(text: str) -> Iterator[str]:
    yield from text.split("\n")


async def chunks(kinds: list[str]) -> AsyncIterator[Any]:
    for kind in kinds:
        yield RESULTS[kind]()
        await asyncio.sleep(0)  # noqa: TID251


def breaking(after: int = 2) -> Iterator[dict[str, int]]:
    for i in range(min(after, 20)):
        yield {"chunk": i}
    raise ValueError(f"broke after {after}")


# What FastMCP itself must answer


async def with_context(ctx: Context, text: str = "x") -> str:
    await ctx.report_progress(1, 2, text)
    return text


def circumstances_now() -> dict[str, Any]:
    call = current_call.get()
    return {
        "principal": call.principal,
        "has deadline": call.deadline is not None,
        "trace": dict(call.trace),
        "headers": dict(call.headers),
        "opened": sorted(call.opened),
    }


async def circumstances() -> dict[str, Any]:
    return circumstances_now()


def circumstances_of_a_thread() -> dict[str, Any]:
    return circumstances_now()


async def circumstances_of_chunks() -> AsyncIterator[dict[str, Any]]:
    yield circumstances_now()


async def headers() -> list[str]:
    return sorted(get_http_headers())


def path_in_a_thread() -> str:
    return get_http_request().url.path


async def content(text: str) -> TextContent:
    return TextContent(type="text", text=text)


# Results and failures by name

DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]

RESULTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "empty text": lambda: "",
    "digits": lambda: "123",
    "json text": lambda: '{"a": [1, 2.0]}',
    "quotes": lambda: 'say "hi" \\ /\n\t\u2028\u2029\x00\x1f\x7f',
    "html": lambda: "</script><!-- & ' -->",
    "unicode": lambda: "åß∂ 漢字 🎉 \ufeff\ufffe e\u0301",
    "surrogate": lambda: "half \ud800 of it",
    "surrogate key": lambda: {"\udfff": 1},
    "line ends": lambda: "a\r\nb\rc\nd\x85e\x0bf",
    "empty list": list,
    "empty object": dict,
    "true": lambda: True,
    "false": lambda: False,
    "zero": lambda: 0,
    "one": lambda: 1,
    "one as float": lambda: 1.0,
    "minus zero": lambda: -0.0,
    "tiny": lambda: 5e-324,
    "small float": lambda: 1e-7,
    "huge float": lambda: 1.7976931348623157e308,
    "round float": lambda: 1e16,
    "exponent": lambda: 1e22,
    "third": lambda: 1 / 3,
    "nan": lambda: float("nan"),
    "infinity": lambda: {"deep": [float("-inf")]},
    "64 bits": lambda: 2**63 - 1,
    "unsigned 64 bits": lambda: 2**64 - 1,
    "65 bits": lambda: 2**64,
    "minus 64 bits": lambda: -(2**63) - 1,
    "big inside": lambda: {"big": [2**70, 1.5, "x", None], "flag": True},
    "big key": lambda: {2**70: 2**71, "\u00e9": 1.0},
    "4000 digits": lambda: 10**3999,
    "too many digits": lambda: 10**5000,
    "mixed": lambda: {"a": [1, 1.0, "1", True, None, {"b": {}}], "": [], "\u00fc": {}},
    "result key": lambda: {"result": 1},
    "long text": lambda: "lorem ipsum " * 400,
    "long list": lambda: list(range(300)),
    "deep": lambda: DEEP,
    "tuple": lambda: (1, ("a", 2.5)),
    "set": lambda: {3, 1, 2},
    "frozen set": lambda: frozenset({"b", "a"}),
    "bytes": lambda: b"abc",
    "odd bytes": lambda: b"\xff\x00",
    "byte array": lambda: bytearray(b"x"),
    "decimal": lambda: decimal.Decimal("1.10"),
    "decimal nan": lambda: decimal.Decimal("NaN"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "complex": lambda: 1 + 2j,
    "moment": lambda: datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    "day": lambda: datetime.date(2026, 1, 2),
    "duration": lambda: datetime.timedelta(hours=1, microseconds=1),
    "uuid": lambda: uuid.UUID(int=5),
    "path": lambda: pathlib.PurePosixPath("/a/b"),
    "enum": lambda: Colour.RED,
    "int enum": lambda: Level.HIGH,
    "model": lambda: Item(name="n", price=decimal.Decimal("1.50")),
    "aliased model": lambda: Aliased.model_validate({"from": 1}),
    "models": lambda: [Order(number=1, items=[]), Point(1, 2)],
    "dataclass": lambda: Point(1, -0.0),
    "named tuple": lambda: Pair(1, "b"),
    "number keys": lambda: {7: "a", 2.5: "b", None: "c", True: "d"},
    "clashing keys": lambda: {1: "a", "1": "b"},
    "iterator": lambda: iter([1, 2]),
    "generator": lambda: (i for i in range(3)),
    "range": lambda: range(3),
    "deque": lambda: collections.deque([1, 2]),
    "counter": lambda: collections.Counter("aab"),
    "object": object,
    "function": lambda: len,
    "class": lambda: int,
    "exception": lambda: ValueError("as a value"),
    "module": lambda: datetime,
    "text content": lambda: TextContent(type="text", text="content"),
    "texts": lambda: [TextContent(type="text", text="a"), TextContent(type="text", text="b")],
    "text content among others": lambda: [1, TextContent(type="text", text="a"), "b", None],
    "text content inside": lambda: {"deep": [TextContent(type="text", text="a")]},
    "image": lambda: Image(data=b"x", format="png"),
    "tool result": lambda: ToolResult(content="text", structured_content={"a": 1.0}),
    "failed tool result": lambda: ToolResult(content="no", is_error=True),
    "tool result with meta": lambda: ToolResult(content=[], meta={"a": None}),
    "input required": lambda: InputRequiredResult(request_state="state"),
    "jsonrpc": lambda: {"jsonrpc": "2.0", "id": 1, "result": {"isError": True}},
    "nulls": lambda: {"a": None, "b": [None], "c": {"d": None}},
    "meta": lambda: {"_meta": {"x": None}, "content": None, "isError": True},
}


async def result(kind: str) -> Any:
    return RESULTS[kind]()


def result_of_a_thread(kind: str):  # type: ignore[no-untyped-def]
    return RESULTS[kind]()


async def objects(kind: str) -> dict[str, Any]:
    return RESULTS[kind]()


FAILURES: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("bad value"),
    "no text": ValueError,
    "empty": lambda: ValueError(""),
    "lines": lambda: RuntimeError("first\nsecond\r\n\tthird"),
    "unicode": lambda: RuntimeError("größer 漢字 🎉 \x00\u2028"),
    "surrogate": lambda: RuntimeError("half \ud800 of it"),
    "key": lambda: KeyError("missing"),
    "several": lambda: ValueError("a", 2, None),
    "awkward": Awkward,
    "tool": lambda: ToolError("a message for the client"),
    "empty tool": lambda: ToolError(""),
    "odd tool": lambda: ToolError('<b> "q" \\ \n 漢字'),
    "surrogate tool": lambda: ToolError("half \udcff"),
    "tool of two": lambda: ToolError("a", "b"),
    "protocol": lambda: MCPError(-32603, "inner"),
    "capability": lambda: MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        "needs sampling",
        {"requiredCapabilities": {"sampling": {}}},
    ),
    "not found": lambda: MCPError(-32601, "no such method", None),
    "exit": lambda: SystemExit(3),
    "exit with text": lambda: SystemExit("bye"),
    "stop": lambda: StopIteration(1),
    "stop async": StopAsyncIteration,
    "timeout": TimeoutError,
    "os": lambda: FileNotFoundError(2, "No such file", "/nowhere"),
    "assertion": lambda: AssertionError("no"),
    "not implemented": NotImplementedError,
    "permission": lambda: PermissionError("denied"),
    "cancelled": asyncio.CancelledError,
    "group": lambda: ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "long": lambda: RuntimeError("x" * 5_000),
    "unicode error": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
}


async def slow_result(kind: str) -> Any:
    await asyncio.sleep(0.002)  # noqa: TID251
    return RESULTS[kind]()


async def slow_raises(kind: str) -> NoReturn:
    await asyncio.sleep(0.002)  # noqa: TID251
    raise FAILURES[kind]()  # noqa: RSE102


async def slow_chunks(kind: str) -> AsyncIterator[Any]:
    for _ in range(3):
        await asyncio.sleep(0.002)  # noqa: TID251
        yield RESULTS[kind]()


async def raises(kind: str = "value") -> NoReturn:
    raise FAILURES[kind]()  # noqa: RSE102


def raises_in_a_thread(kind: str = "value") -> NoReturn:
    raise FAILURES[kind]()  # noqa: RSE102


async def raises_from(kind: str = "value") -> NoReturn:
    try:
        raise ValueError("the cause")  # noqa: TRY301
    except ValueError as error:
        raise FAILURES[kind]() from error  # noqa: RSE102
