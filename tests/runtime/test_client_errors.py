"""Which typed error a caller gets for what a provider answers."""

import json
from typing import Any

import pytest
from aiohttp import web

from meshd.errors import (
    ArgumentsRejected,
    BreakerOpen,
    Busy,
    CallError,
    CallTimedOut,
    ConnectionLost,
    InputRequired,
    ResultRejected,
    TaskStarted,
    ToolFailed,
    Unauthorised,
    Unavailable,
)
from meshd.runtime.client import McpClient
from meshd.runtime.protocol import ERROR
from tests.runtime.servers import plain, result_of, serving


async def failure(answer: Any, status: int = 200) -> CallError:
    """Return what a call raises; the answer is a result's fields, or an error."""

    async def handler(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        if isinstance(answer, str):
            return web.Response(text=answer, status=status)
        if "code" in answer:
            return plain({"jsonrpc": "2.0", "id": asked["id"], "error": answer}, status)
        return plain(result_of(asked, **answer), status)

    async with serving(handler) as url, McpClient() as client:
        with pytest.raises(CallError) as caught:
            await client.call(url, "tool", {}, provider="there.tool")
    return caught.value


def said(**fields: Any) -> dict[str, Any]:
    return {
        "isError": True,
        "content": [{"type": "text", "text": "it went wrong"}],
        "_meta": {ERROR: fields},
    }


@pytest.mark.parametrize(
    "kind",
    [
        ArgumentsRejected,
        BreakerOpen,
        Busy,
        CallTimedOut,
        ConnectionLost,
        InputRequired,
        ResultRejected,
        TaskStarted,
        ToolFailed,
        Unauthorised,
        Unavailable,
    ],
)
async def test_a_meshd_agent_says_which_of_its_errors_it_is(kind: type[CallError]) -> None:
    error = await failure(said(code=kind.code))
    assert type(error) is kind
    assert (str(error), error.provider, error.attempts) == ("it went wrong", "there.tool", 1)
    assert (error.retriable, error.executed) == (kind.retriable, kind.executed)


async def test_what_a_meshd_agent_says_of_its_error_counts() -> None:
    fields = {"retriable": False, "executed": True, "provider": "beyond.tool", "attempts": 3}
    error = await failure(said(code="unavailable", **fields))
    assert type(error) is Unavailable
    found = {name: getattr(error, name) for name in fields}
    assert found == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"retriable": "yes", "executed": 0, "provider": 7, "attempts": -1},
        {"retriable": None, "executed": None, "provider": "", "attempts": True},
        {"retriable": [], "executed": {}, "provider": None, "attempts": 1.5},
    ],
)
async def test_what_an_error_says_in_another_shape_is_taken_for_the_worse(
    fields: dict[str, Any],
) -> None:
    error = await failure(said(code="busy", **fields))
    assert type(error) is Busy
    assert (error.retriable, error.executed) == (False, True)
    assert (error.provider, error.attempts) == ("there.tool", 1)


@pytest.mark.parametrize("code", ["from-the-future", None, 7, ["busy"]])
async def test_an_error_of_an_unknown_kind_is_the_tools(code: Any) -> None:
    assert type(await failure(said(code=code))) is ToolFailed


@pytest.mark.parametrize("meta", [None, [], {ERROR: "busy"}, {ERROR: None}])
async def test_a_mark_of_another_shape_is_none(meta: Any) -> None:
    assert type(await failure({"isError": True, "content": [], "_meta": meta})) is ToolFailed


@pytest.mark.parametrize(
    ("status", "answer", "kind", "message"),
    [
        (401, "", Unauthorised, "wants one: HTTP 401"),
        (403, "<html>", Unauthorised, "wants one: HTTP 403"),
        (429, "", Busy, "does not take the call now: HTTP 429"),
        (503, {"code": -32000, "message": "later"}, Busy, r"now: later \[-32000\]"),
        (413, "", ArgumentsRejected, "no such size"),
        (404, "", CallError, "HTTP 404 instead of an MCP answer"),
        (404, {"code": -32601, "message": "no such method"}, CallError, "no such method"),
        (
            503,
            {"code": -1, "message": "m", "data": {ERROR: {"code": "breaker-open"}}},
            BreakerOpen,
            "m",
        ),
        (
            200,
            {"code": -1, "message": "m", "data": {ERROR: {"code": "unauthorised"}}},
            Unauthorised,
            "m",
        ),
    ],
)
async def test_refusals(status: int, answer: Any, kind: type[CallError], message: str) -> None:
    error = await failure(answer, status)
    assert type(error) is kind
    assert error.provider == "there.tool"
    with pytest.raises(kind, match=message):
        raise error


async def test_a_tool_that_asks_for_input() -> None:
    requests = {"a": {"method": "elicitation/create"}}
    error = await failure(
        {
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": "s",
        }
    )
    assert isinstance(error, InputRequired)
    assert (error.requests, error.state, error.provider) == (requests, "s", "there.tool")


async def test_a_tool_that_asks_for_nothing_in_particular() -> None:
    error = await failure({"resultType": "input_required", "inputRequests": 7, "requestState": 7})
    assert isinstance(error, InputRequired)
    assert (error.requests, error.state) == ({}, None)


@pytest.mark.parametrize(
    ("result", "task"),
    [
        ({"resultType": "task", "task": {"taskId": "1"}}, {"taskId": "1"}),
        ({"resultType": "task", "taskId": "1", "_meta": {}}, {"taskId": "1"}),
        ({"task": {"taskId": "1", "status": "working"}}, {"taskId": "1", "status": "working"}),
    ],
)
async def test_a_tool_that_answers_later(result: dict[str, Any], task: dict[str, Any]) -> None:
    error = await failure(result)
    assert isinstance(error, TaskStarted)
    assert error.task == task


@pytest.mark.parametrize("kind", ["from-the-future", 7])
async def test_a_kind_of_result_that_nobody_knows(kind: object) -> None:
    assert type(await failure({"resultType": kind, "content": []})) is ResultRejected
