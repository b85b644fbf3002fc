"""What goes in comes out: values as arguments, results and chunks, in the process and over HTTP."""

import contextlib
import datetime
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

from meshd.callables.dump import dump
from meshd.callables.expected import ExpectedResult
from meshd.clock import SystemClock
from meshd.domain.spec import CallSettings, NeedSpec, ToolSpec
from meshd.errors import CallError, InputRequired, ToolFailed
from meshd.plan.model import AgentPlan, Binding, ToolPlan
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.edge import Edge
from meshd.runtime.proxy import AsyncProxy
from meshd.runtime.upstreams import HttpUpstream, Traits
from meshd.runtime.workers import Workers
from tests.callables.compiling import tool_of
from tests.runtime.test_agent import served

STREAMING = CallSettings(streaming=True)
BINDING = Binding(
    id="here.tool#other",
    consumer="here",
    tool="tool",
    parameter="other",
    need=NeedSpec(parameter="other", capability="same"),
)


def nested(levels: int) -> Any:
    return {"in": [nested(levels - 1)]} if levels else 1


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 + 1, -(2**63), 2**64, 10**400),
    *(0.0, 0.1, -1.5, 1e300, 5e-324, 1.0),
    *("", "123", "null", '{"a": 1}', "[]", "true", " ", "a\nb\r\n\t", "\x00\x1f\x7f"),
    *("Grüße, 東京 🗼", "\u2028\u2029", "é" * 1000, "=?base64?e30=?=", "data: x\n\n"),
    *([], {}, [[]], [{}], {"": []}, [None], {"a": None}, [[], {}, "", 0, None, False]),
    *({"result": 1}, {"result": {"result": []}}, {"isError": True}, {"content": []}),
    *({"task": {}}, {"resultType": "task"}, {"_meta": {"fastmcp": {"wrap_result": True}}}),
    *({"a.b": 1, "ü": 2, "1": 3}, [1, "1", 1.0, [1]], nested(40), list(range(1000))),
]


async def same(value: Any) -> Any:
    return value


async def chunks(values: list[Any]) -> AsyncIterator[Any]:
    for value in values:
        if value == "raise":
            raise LookupError("as it was told")
        yield value


async def asking() -> Any:
    """Ask for input, as only tools that know MCP can."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    question = ElicitRequestFormParams(message="Who?", requested_schema=schema)
    return InputRequiredResult(
        input_requests={"name": ElicitRequest(params=question)}, request_state="s"
    )


def agent() -> RunningAgent:
    """Return an agent whose tools answer what they are given."""
    bodies = {"same": tool_of(same), "chunks": tool_of(chunks), "asking": tool_of(asking)}
    tools = tuple(
        ToolPlan(
            spec=ToolSpec(
                callable="m:f",
                name=name,
                call=STREAMING if name == "chunks" else CallSettings(),
            ),
            signature=body.signature,
        )
        for name, body in bodies.items()
    )
    plan = AgentPlan(name="there", tools=tools)
    return RunningAgent(plan, "there-1", Parts(bodies=bodies), {}, Workers())


@dataclass
class Ways:
    """Both ways to the same agent."""

    agent: RunningAgent
    client: McpClient
    url: str

    def proxies(self, tool: str, expected: Any = None) -> list[AsyncProxy]:
        traits = Traits(call=STREAMING if tool == "chunks" else CallSettings())
        clock = SystemClock()
        upstreams = [
            self.agent.upstream(tool),
            HttpUpstream(f"there.{tool}", self.url, tool, self.client, clock, traits),
        ]
        proxies: list[AsyncProxy] = []
        for upstream in upstreams:
            edge = Edge(BINDING, expected, dump, clock)
            edge.wire((upstream,))
            proxies.append(AsyncProxy(edge))
        return proxies


@contextlib.asynccontextmanager
async def both_ways() -> AsyncGenerator[Ways, None]:
    there = agent()
    async with served(there, "127.0.0.1") as [url], McpClient() as client:
        yield Ways(there, client, url)


def exact(value: Any) -> Any:
    """Return a value with its type, so that 1, 1.0 and True differ, all the way down."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: exact(item) for name, item in fields.items()}
    if isinstance(value, list):
        return [exact(item) for item in cast("list[Any]", value)]
    return type(value).__name__, value


async def test_values_come_back_as_they_went() -> None:
    async with both_ways() as ways:
        for proxy in ways.proxies("same"):
            for value in VALUES:
                assert exact(await proxy(value=value)) == exact(value)


async def test_chunks_come_as_they_are_made() -> None:
    async with both_ways() as ways:
        for proxy in ways.proxies("chunks"):
            assert exact([chunk async for chunk in proxy(values=VALUES)]) == exact(VALUES)
            assert [chunk async for chunk in proxy(values=[])] == []
            assert exact(await proxy(values=VALUES)) == exact(VALUES)


async def test_an_error_comes_after_the_chunks_before_it_on_both_ways() -> None:
    async def take(found: list[Any], call: AsyncIterator[Any]) -> None:
        async for chunk in call:
            found.append(chunk)  # noqa: PERF401

    async with both_ways() as ways:
        for proxy in ways.proxies("chunks"):
            found: list[Any] = []
            with pytest.raises(ToolFailed, match="LookupError: as it was told") as caught:
                await take(found, aiter(proxy(values=[1, "2", "raise"])))
            assert (found, caught.value.provider) == ([1, "2"], "there.chunks")


@pytest.mark.parametrize(
    ("expected", "sent", "came"),
    [
        (bytes, b"\xff\x00", b"\xff\x00"),
        (datetime.date, datetime.date(2026, 7, 28), datetime.date(2026, 7, 28)),
        (set[int], {1, 2}, {1, 2}),
        (tuple[int, str], (1, "1"), (1, "1")),
        (list[datetime.timedelta], [datetime.timedelta(1)], [datetime.timedelta(1)]),
        (str, "123", "123"),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (int | None, None, None),
    ],
)
async def test_typed_values_come_back_as_they_were(expected: Any, sent: Any, came: Any) -> None:
    async with both_ways() as ways:
        for proxy in ways.proxies("same", ExpectedResult(expected)):
            assert exact(await proxy(value=sent)) == exact(came)


async def test_typed_chunks() -> None:
    days = [datetime.date(2026, 7, day) for day in (1, 2)]
    async with both_ways() as ways:
        for proxy in ways.proxies("chunks", ExpectedResult(list[datetime.date])):
            assert [chunk async for chunk in proxy(values=days)] == days
            assert await proxy(values=days) == days


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
async def test_what_cannot_be_said_in_json_is_refused_alike(value: Any) -> None:
    async with both_ways() as ways:
        kinds: list[type[CallError]] = []
        for proxy in ways.proxies("same"):
            with pytest.raises(CallError) as caught:
                await proxy(value=value)
            kinds.append(type(caught.value))
        assert kinds[0] is kinds[1]


async def test_what_only_a_client_can_answer_is_a_typed_error_on_both_ways() -> None:
    async with both_ways() as ways:
        for proxy in ways.proxies("asking"):
            with pytest.raises(InputRequired) as caught:
                await proxy()
            assert caught.value.state  # a server seals it before it goes out
            assert caught.value.requests["name"]["params"]["message"] == "Who?"
            assert caught.value.provider == "there.asking"
