"""The lane in front of FastMCP: who answers what, and that both answer alike."""

from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Context
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, TextContent

from meshd.clock import SystemClock
from meshd.domain.signature import Mode
from meshd.errors import ArgumentsRejected, Unavailable
from meshd.runtime.context import current_call
from meshd.runtime.server import Applications
from tests.runtime.asgi import Question, Reply, agent_apps, asked, message_of, newer, older

FORMS = pytest.mark.parametrize("form", [newer, older])
Form = Callable[..., Question]


async def both(apps: Applications, question: Callable[[], Question]) -> tuple[Reply, Reply]:
    laned, plain = await asked(apps.laned, question()), await asked(apps.plain, question())
    assert plain.by_fastmcp
    return laned, plain


async def echo(**arguments: Any) -> Any:
    return arguments


async def nothing() -> None:
    return None


async def text() -> str:
    return 'é "\n\u2028'


async def fail() -> None:
    raise LookupError("no such thing")


async def refuse() -> None:
    raise ToolError("not today")


async def reject() -> None:
    raise ArgumentsRejected("`a` is wrong")


async def lack() -> None:
    raise Unavailable("nobody is there", provider="far")


@FORMS
@pytest.mark.parametrize("function", [echo, nothing, text, fail, refuse, reject, lack])
async def test_it_answers_what_fastmcp_answers(form: Form, function: Callable[..., Any]) -> None:
    async with agent_apps(function) as apps:
        for number in (1, "x", 2**70):
            laned, plain = await both(apps, lambda n=number: form(function.__name__, number=n))
            assert not laned.by_fastmcp
            assert laned.answer == plain.answer


@FORMS
async def test_the_kind_of_an_error_is_told(form: Form) -> None:
    async with agent_apps(reject, fail, refuse) as apps:
        assert (await asked(apps.laned, form("reject"))).result["_meta"]["meshd.dev/error"] == {
            "code": "arguments",
            "retriable": False,
            "executed": False,
            "provider": "here.reject",
            "attempts": 1,
        }
        for plain in ("fail", "refuse"):
            result = (await asked(apps.laned, form(plain))).result
            assert "meshd.dev/error" not in result.get("_meta", {})


async def huge() -> int:
    return 2**64


async def half() -> str:
    return "\ud800"


async def content() -> Any:
    return TextContent(type="text", text="as it is")


async def incapable() -> None:
    raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="you cannot", data={"a": 1})


async def unspeakable() -> None:
    raise ToolError("\ud800")


@pytest.mark.parametrize("function", [huge, half, content, incapable, unspeakable])
async def test_what_only_fastmcp_can_write_is_not_executed_again(
    function: Callable[..., Any],
) -> None:
    calls: list[int] = []

    async def counted() -> Any:
        calls.append(1)
        return await function()

    async with agent_apps(counted) as apps:
        laned = await asked(apps.laned, newer("counted"))
        assert laned.by_fastmcp
        assert len(calls) == 1
        assert laned.answer == (await asked(apps.plain, newer("counted"))).answer


async def test_older_clients_are_told_of_a_missing_capability_too() -> None:
    async with agent_apps(incapable) as apps:
        laned, plain = await both(apps, lambda: older("incapable"))
        assert laned.json["error"]["code"] == MISSING_REQUIRED_CLIENT_CAPABILITY
        assert laned.answer == plain.answer


async def test_the_body_reaches_fastmcp_whole() -> None:
    whole = message_of({"name": "echo", "arguments": {"a": 1}}, more=1)

    def odd() -> Question:
        return Question(older().headers, [whole[:10], b"", whole[10:]])

    async with agent_apps(echo) as apps:
        laned, plain = await both(apps, odd)
        assert laned.by_fastmcp
        assert laned.result["structuredContent"] == {"result": {"a": 1}}
        assert laned.answer == plain.answer


async def test_a_body_in_pieces_is_read_by_the_lane() -> None:
    question = newer("echo", {"a": 1})
    question.chunks = [question.chunks[0][:7], question.chunks[0][7:]]
    async with agent_apps(echo) as apps:
        reply = await asked(apps.laned, question)
        assert not reply.by_fastmcp
        assert reply.result["structuredContent"] == {"result": {"a": 1}}


async def test_a_client_that_leaves_within_its_body_executes_nothing() -> None:
    calls: list[int] = []

    async def counted() -> None:
        calls.append(1)

    async with agent_apps(counted) as apps:
        messages = [
            {"type": "http.request", "body": newer("counted").chunks[0], "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            return None

        await apps.laned(newer("counted").scope(), receive, send)
    assert calls == []


async def who(context: Context) -> str:
    return type(context).__name__


async def test_a_tool_that_sees_fastmcp_is_served_by_it() -> None:
    async with agent_apps(who, context_parameters=("context",)) as apps:
        reply = await asked(apps.laned, newer("who"))
        assert reply.by_fastmcp
        assert reply.result["structuredContent"] == {"result": "Context"}


async def test_a_tool_that_answers_mcp_content_is_served_by_fastmcp() -> None:
    async with agent_apps(content, mcp_content=True) as apps:
        reply = await asked(apps.laned, newer("content"))
        assert reply.by_fastmcp
        assert reply.result["content"] == [{"type": "text", "text": "as it is"}]


async def test_each_call_has_the_time_that_its_request_says() -> None:
    deadlines: list[float] = []

    async def noted() -> None:
        deadlines.append(current_call.get().deadline or 0.0)

    clock = SystemClock()
    async with agent_apps(noted) as apps:
        before = clock.monotonic()
        for _ in range(2):
            await asked(apps.laned, newer("noted").with_headers((b"meshd-timeout", b"30")))
        after = clock.monotonic()
    first, second = deadlines
    assert before + 30 <= first < second <= after + 30


async def test_other_scopes_are_not_its_business() -> None:
    async with agent_apps(echo) as apps:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        websocket: dict[str, Any] = {**newer().scope(), "type": "websocket", "subprotocols": []}
        await apps.laned(websocket, receive, send)
    assert sent == ["websocket.close"]


@FORMS
@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.GENERATOR, Mode.ASYNC_GENERATOR])
async def test_every_kind_of_callable(form: Form, mode: Mode) -> None:
    def tool() -> Any:
        return 1

    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    function = {Mode.SYNC: tool, Mode.GENERATOR: generator}.get(mode, async_generator)
    async with agent_apps(function, mode=mode) as apps:
        laned, plain = await both(apps, lambda: form(function.__name__))
        assert not laned.by_fastmcp
        assert laned.answer == plain.answer


async def chunks() -> Any:
    made: list[Any] = [1, "two", "3", None, {"four": []}]
    for chunk in made:
        yield chunk


@FORMS
@pytest.mark.parametrize("token", ["t", 7])
@pytest.mark.parametrize("meta", [{}, {"meshd.dev/chunks": "json"}])
async def test_chunks_are_sent_as_fastmcp_sends_them(
    form: Form, token: Any, meta: dict[str, Any]
) -> None:
    async with agent_apps(chunks, mode=Mode.ASYNC_GENERATOR) as apps:
        laned, plain = await both(apps, lambda: form("chunks", progressToken=token, **meta))
        assert not laned.by_fastmcp
        said = [event["params"]["message"] for event in laned.events[:-1]]
        assert said == (
            ["1", '"two"', '"3"', "null", '{"four":[]}']
            if meta
            else ["1", "two", "3", "null", '{"four":[]}']
        )
        marks = [event["params"].get("_meta") for event in laned.events[:-1]]
        assert marks == [{"meshd.dev/chunk": "json"} if meta else None] * 5
        assert laned.headers == plain.headers
        assert repr(laned.events) == repr(plain.events)


async def test_an_error_after_chunks_ends_the_stream() -> None:
    async def broken() -> Any:
        yield 1
        raise LookupError("no more")

    async with agent_apps(broken, mode=Mode.ASYNC_GENERATOR) as apps:
        laned, plain = await both(apps, lambda: newer("broken", progressToken=1))
        assert laned.events[-1]["result"]["content"][0]["text"] == "LookupError: no more"
        assert laned.events == plain.events


@FORMS
async def test_what_only_fastmcp_can_write_ends_a_stream_of_the_lane(form: Form) -> None:
    async def huge_chunks() -> Any:
        yield 2**64

    async with agent_apps(huge_chunks, mode=Mode.ASYNC_GENERATOR) as apps:
        laned, plain = await both(apps, lambda: form("huge_chunks", progressToken=1))
        assert laned.events == plain.events
        assert laned.events[-1]["result"]["structuredContent"] == {"result": [2**64]}
        assert laned.messages[-1].get("more_body", False) is False
