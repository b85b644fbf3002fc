"""Tokens, sizes and contexts: what both ways to answer a request make of it before the call."""

from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Context
from fastmcp.server.http import StarletteWithLifespan

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.domain.spec import CallSettings, ToolSpec
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.agent import Parts, RunningAgent
from meshd.runtime.context import NO_CALL, current_call
from meshd.runtime.front import Doors, called_tool
from meshd.runtime.server import limit_bodies
from meshd.runtime.workers import Workers
from tests.runtime.asgi import Question, agent_apps, asked, message_of, newer, older
from tests.runtime.fakes import FakeBody

Form = Callable[..., Question]
FORMS = pytest.mark.parametrize("form", [newer, older])
WAYS = pytest.mark.parametrize("way", ["laned", "plain"])
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def locked() -> str:
    return current_call.get().principal


async def other() -> str:
    return current_call.get().principal


async def free() -> str:
    return current_call.get().principal


TOKENS = {"locked": "secret", "other": "another"}


@WAYS
@FORMS
@pytest.mark.parametrize(
    ("tool", "said", "status"),
    [
        ("locked", b"Bearer secret", 200),
        ("locked", b"bearer  secret ", 200),
        ("locked", b"Bearer wrong", 401),
        ("locked", b"Bearer another", 401),
        ("locked", b"Bearer ", 401),
        ("locked", b"Basic secret", 401),
        ("locked", b"secret", 401),
        ("locked", None, 401),
        ("other", b"Bearer another", 200),
        ("free", None, 200),
        ("free", b"Bearer wrong", 200),
    ],
)
async def test_who_may_call(
    way: str, form: Form, tool: str, said: bytes | None, status: int
) -> None:
    question = form(tool)
    if said is not None:
        question = question.with_headers((b"authorization", said))
    async with agent_apps(locked, other, free, tokens=TOKENS) as apps:
        reply = await asked(getattr(apps, way), question)
        assert reply.status == status
        if status == 401:
            assert reply.headers[b"www-authenticate"] == b"Bearer"
            assert reply.json["error"] == "invalid_token"
        else:
            assert reply.by_fastmcp == (way == "plain")
            principal = reply.result["structuredContent"]["result"]
            assert principal.startswith("token:" if tool != "free" else "anonymous")
            assert "secret" not in principal


@pytest.mark.parametrize("more", [b'"more":1,', b'"x":"\\ud800",'])
async def test_no_odd_request_gets_around_the_token(more: bytes) -> None:
    question = newer("locked")
    body = b"{" + more + question.chunks[0][1:]
    async with agent_apps(locked, tokens=TOKENS) as apps:
        for app in (apps.laned, apps.plain):
            reply = await asked(app, Question(question.headers, [body]))
            if reply.status == 200:
                # Whoever reads the body in another way meets the tool itself.
                error = reply.result["_meta"]["meshd.dev/error"]
                assert error["code"] == "unauthorised"
                assert error["executed"] is False
            else:
                assert reply.status == 401


async def test_a_locked_tool_that_sees_fastmcp_is_called_within_the_process() -> None:
    async def named(context: Context) -> str:
        return type(context).__name__

    body = FakeBody(named, Mode.ASYNC, context_parameters=("context",))
    spec = ToolSpec(callable="m:named", name="named")
    plan = AgentPlan(name="here", tools=(ToolPlan(spec=spec, signature=body.signature),))
    parts = Parts(bodies={"named": body}, tokens={"named": "secret"})
    agent = RunningAgent(plan, "here-1", parts, {}, Workers(), SystemClock())
    call = agent._server.caller(agent.tools["named"])  # pyright: ignore[reportPrivateUsage]
    assert await call({}) == "Context"


def test_tokens_that_several_tools_share() -> None:
    doors = Doors({"a": "one", "b": "one", "c": "two"})
    assert doors.entered(NO_CALL, b"Bearer one").opened == {"a", "b"}
    assert doors.entered(NO_CALL, b"Bearer two").opened == {"c"}
    assert doors.entered(NO_CALL, b"Bearer three") is NO_CALL
    assert doors.locked == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("body", "tool"),
    [
        (message_of({"name": "a"}), "a"),
        (b'{"method":"tools/list","params":{"name":"a"}}', None),
        (b'{"method":"tools/call","params":{"name":1}}', None),
        (b'{"method":"tools/call","params":[]}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_the_tool_that_a_body_calls(body: bytes, tool: str | None) -> None:
    assert called_tool(body) == tool


async def echo(**arguments: Any) -> Any:
    return {name: len(value) for name, value in arguments.items()}


@FORMS
@WAYS
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("max_bytes", "tokens"), [(1_000, {}), (9_000_000, {"other": "x"})])
async def test_how_large_a_request_may_be(
    way: str,
    form: Form,
    declared: bool,
    max_bytes: int,
    tokens: dict[str, str],
) -> None:
    async with agent_apps(echo, other, max_bytes=max_bytes, tokens=tokens) as apps:
        empty = form("echo", {"a": ""})
        room = max_bytes - len(empty.chunks[0])
        for length, status in ((room, 200), (room + 1, 413)):
            question = form("echo", {"a": "x" * length})
            [body] = question.chunks
            if declared:
                said = (b"content-length", b"%d" % len(body))
                question = question.with_headers(said)
            else:
                question.chunks = [body[:500], body[500:]]
            reply = await asked(getattr(apps, way), question)
            assert reply.status == status
            if status == 200:
                assert reply.by_fastmcp == (way == "plain")
                assert reply.result["structuredContent"] == {"result": {"a": length}}
            else:
                assert reply.body == b"Request body too large"


@FORMS
@WAYS
async def test_the_context_of_a_call_is_the_same_on_both_ways(way: str, form: Form) -> None:
    async def seen() -> Any:
        call = current_call.get()
        assert call.deadline is not None
        return [dict(call.trace), dict(call.headers), call.principal]

    question = form("seen", baggage="b=2").with_headers(
        (b"traceparent", PARENT.encode() + b" "),
        (b"x-tenant", b"blue\t"),
        (b"x-mesh-timeout", b"30"),
    )
    settings = {"call": CallSettings(propagate=("x-tenant",))}
    async with agent_apps(seen, spec=settings) as apps:
        reply = await asked(getattr(apps, way), question)
    assert reply.by_fastmcp == (way == "plain")
    assert reply.result["structuredContent"]["result"] == [
        {"traceparent": PARENT, "baggage": "b=2"},
        {"x-tenant": "blue"},
        "anonymous",
    ]
    assert current_call.get().headers == {}


async def test_a_context_ends_with_its_request() -> None:
    async with agent_apps(free) as apps:
        for app in (apps.laned, apps.plain):
            before = current_call.get()
            await asked(app, newer("free").with_headers((b"x-mesh-timeout", b"30")))
            assert current_call.get() is before


async def test_hosts_are_judged_before_tokens_and_sizes() -> None:
    async with agent_apps(locked, tokens=TOKENS, max_bytes=10) as apps:
        question = newer("locked").with_headers((b"host", b"evil.example"), without=b"host")
        for app in (apps.laned, apps.plain):
            assert (await asked(app, question)).status == 421


def test_another_way_to_limit_bodies_does_not_go_unnoticed() -> None:
    with pytest.raises(RuntimeError, match="limits request bodies in another way"):
        limit_bodies(StarletteWithLifespan(), 1)
