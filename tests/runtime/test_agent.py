"""A running agent on real sockets: who may call it, what it answers, how it begins and ends."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx2
import pytest

from meshd.callables.dump import dump
from meshd.clock import SystemClock
from meshd.daemon.ports import Port
from meshd.domain.signature import Mode
from meshd.domain.spec import ToolSpec
from meshd.errors import CallError, LifespanFailed, Unavailable
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.agent import Parts, RunningAgent, allowed_hosts
from meshd.runtime.client import McpClient
from meshd.runtime.edge import Edge
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody, FakeClock, binding


async def echo(**arguments: Any) -> Any:
    return arguments


def agent_of(function: Callable[..., Any] = echo, **parts: Any) -> RunningAgent:
    body = FakeBody(function, Mode.ASYNC)
    spec = ToolSpec(callable="m:tool", name="tool")
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    return RunningAgent(plan, "here-1", Parts(bodies={"tool": body}, **parts), {}, Workers())


@contextlib.contextmanager
def ports(*hosts: str) -> Any:
    made = [Port(host, 0) for host in hosts]
    for port in made:
        port.open()
    yield made
    for port in made:
        port.close()


@contextlib.asynccontextmanager
async def served(
    agent: RunningAgent, *hosts: str, endpoint: str = "", grace_seconds: float = 1.0
) -> AsyncGenerator[list[str], None]:
    with ports(*hosts) as made:
        urls = [port.endpoint.url for port in made]
        listeners = [port.duplicate() for port in made]
    serving = agent.running(
        listeners, SystemClock(), endpoint=endpoint or urls[0], grace_seconds=grace_seconds
    )
    async with serving:
        agent.serving.ready = True
        yield urls


async def test_it_answers_on_all_its_sockets() -> None:
    agent = agent_of()
    async with served(agent, "127.0.0.1", "127.0.0.1") as urls, McpClient() as client:
        assert len(set(urls)) == 2
        for url in urls:
            assert await client.call(url, "tool", {"a": 1}) == {"a": 1}
        assert agent.endpoint == urls[0]
    async with McpClient() as client:
        for url in urls:
            with pytest.raises(Unavailable):
                await client.call(url, "tool", {})


async def test_a_client_that_adds_what_mcp_mesh_adds_is_answered() -> None:
    foreign: Any = {"_trace_id": "1", "_parent_span": "2", "_mesh_headers": {"x": "y"}}
    async with served(agent_of(), "127.0.0.1") as [url], McpClient() as client:
        assert await client.call(url, "tool", {"a": 1, **foreign}) == {"a": 1}


@pytest.mark.parametrize(
    ("host", "endpoint", "named", "status"),
    [
        ("127.0.0.1", "", "localhost", 200),
        ("127.0.0.1", "", "evil.example", 421),
        ("127.0.0.1", "http://here.example:80", "here.example", 200),
        ("127.0.0.1", "http://here.example:80", "there.example", 421),
        ("0.0.0.0", "http://here.example:80", "any.example", 200),  # noqa: S104
    ],
)
async def test_who_may_be_named_as_its_host(
    host: str, endpoint: str, named: str, status: int
) -> None:
    async with (
        served(agent_of(), host, endpoint=endpoint) as [url],
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        reached = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        response = await http.get(f"{reached}/health", headers={"Host": named})
        assert response.status_code == status


def test_the_names_by_which_it_may_be_called() -> None:
    with ports("127.0.0.1", "127.0.0.1") as [one, other]:
        both = [one.duplicate(), other.duplicate()]
        assert allowed_hosts(both, "http://[fd00::1]:8000") == ("127.0.0.1", "127.0.0.1", "fd00::1")
        assert allowed_hosts(both, "") == ("127.0.0.1", "127.0.0.1")
        for each in both:
            each.close()
    with ports("127.0.0.1", "0.0.0.0") as [one, wildcard]:  # noqa: S104
        both = [one.duplicate(), wildcard.duplicate()]
        assert allowed_hosts(both, "http://here.example:80") == ("*",)
        for each in both:
            each.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_it_answers_over_ipv6() -> None:
    async with served(agent_of(), "::1") as [url], McpClient() as client:
        assert url.startswith("http://[::1]:")
        assert await client.call(url, "tool", {"a": 1}) == {"a": 1}


async def test_the_probes_say_how_it_is() -> None:
    agent = agent_of()
    async with served(agent, "127.0.0.1") as [url], httpx2.AsyncClient(trust_env=False) as http:
        paths = ("health", "ready", "livez", "startupz", "metadata")

        async def statuses() -> dict[str, int]:
            return {path: (await http.get(f"{url}/{path}")).status_code for path in paths}

        assert await statuses() == dict.fromkeys(paths, 200)
        agent.serving.ready = False
        assert await statuses() == {**dict.fromkeys(paths, 200), "health": 503, "ready": 503}
        shown = (await http.get(f"{url}/metadata")).json()
        assert "here" in shown.values()


async def test_the_lifespan_is_around_all_of_it() -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncGenerator[None, None]:
        seen.append("begins")
        yield
        seen.append("ends")

    async def tool() -> list[str]:
        return list(seen)

    agent = agent_of(tool, lifespan=lifespan)
    async with McpClient() as client, served(agent, "127.0.0.1") as [url]:
        assert await client.call(url, "tool", {}) == ["begins"]
    assert seen == ["begins", "ends"]


async def test_a_lifespan_that_does_not_begin_keeps_it_from_starting() -> None:
    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncGenerator[None, None]:
        raise OSError("the database is away")
        yield

    agent = agent_of(lifespan=lifespan)
    with pytest.raises(LifespanFailed) as caught:
        async with served(agent, "127.0.0.1"):
            pytest.fail("it started")
    assert isinstance(caught.value.__cause__, OSError)
    assert not agent.serving.started


async def test_a_lifespan_that_does_not_end_well_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncGenerator[None, None]:
        yield
        raise OSError("it will not go")

    async with served(agent_of(lifespan=lifespan), "127.0.0.1"):
        pass
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.getMessage() == "the lifespan of agent here raised at its end"


async def test_draining_lets_calls_finish_and_takes_no_new_ones() -> None:
    began, release = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        began.set()
        await release.wait()
        return "done"

    agent = agent_of(slow)
    async with served(agent, "127.0.0.1", grace_seconds=4) as [url], McpClient() as client:
        call = asyncio.ensure_future(client.call(url, "tool", {}))
        await began.wait()
        draining = asyncio.ensure_future(agent.drain())
        await SystemClock().sleep(0.02)
        async with McpClient() as other:
            with pytest.raises(Unavailable):
                await other.call(url, "tool", {})
        assert not agent.serving.ready
        assert not draining.done()
        release.set()
        assert await call == "done"
        await draining


async def test_what_does_not_finish_in_time_is_cancelled() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    agent = agent_of(endless)
    async with served(agent, "127.0.0.1", grace_seconds=0.05) as [url], McpClient() as client:
        call = asyncio.ensure_future(client.call(url, "tool", {}))
        await began.wait()
        await agent.drain()
        await agent.drain()
        assert ended.is_set()
        with pytest.raises(CallError, match="the tool may have run"):
            await call


async def test_an_agent_that_does_not_run_has_nothing_to_drain() -> None:
    agent = agent_of()
    agent.serving.ready = True
    await agent.drain()
    assert not agent.serving.ready


async def test_a_tool_without_lifespan_or_needs_is_called_within_the_process() -> None:
    upstream = agent_of().upstream("tool")
    assert upstream.provider == "here.tool"
    assert await upstream.call({"a": 1}) == {"a": 1}


async def test_the_time_for_the_first_wiring_begins_when_it_serves() -> None:
    clock = FakeClock()
    edge = Edge(binding(), None, dump, clock, settle_seconds=5)
    body = FakeBody(echo, Mode.ASYNC)
    spec = ToolSpec(callable="m:tool", name="tool", needs=(edge.binding.need,))
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    edges = {("tool", "other"): edge}
    agent = RunningAgent(plan, "here-1", Parts(bodies={"tool": body}), edges, Workers())
    async with served(agent, "127.0.0.1") as [url], McpClient() as client:
        clock.seconds += 6
        assert await client.call(url, "tool", {"a": 1}) == {"a": 1, "other": None}
    assert edge.settled
