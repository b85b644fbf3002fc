"""Answers as bytes are the JSON that they should be."""

import json
from typing import Any

import pytest

from meshd.runtime.lane.answer import CANNOT_WRITE, Answers, event, progress_event

INFO = {"name": "here", "version": "1.0.0"}
MODERN, OLDER = Answers(INFO), Answers(None)
STAMP = {"io.modelcontextprotocol/serverInfo": INFO}
WRAPPED = {"fastmcp": {"wrap_result": True}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ('a "b" \n é \u2028', 'a "b" \n é \u2028'),
        ("123", "123"),
        (123, "123"),
        (2**64 - 1, str(2**64 - 1)),
        (-0.5, "-0.5"),
        (True, "true"),
        ([], "[]"),
        ({"a": ['"', None]}, '{"a":["\\"",null]}'),
    ],
)
def test_results(value: Any, text: str | None) -> None:
    content = [] if text is None else [{"type": "text", "text": text}]
    result = {"content": content, "isError": False, "structuredContent": {"result": value}}
    assert json.loads(MODERN.result("a\n", value)) == {
        "jsonrpc": "2.0",
        "id": "a\n",
        "result": {**result, "_meta": {**WRAPPED, **STAMP}, "resultType": "complete"},
    }
    assert json.loads(OLDER.result(2**70, value)) == {
        "jsonrpc": "2.0",
        "id": 2**70,
        "result": {**result, "_meta": WRAPPED},
    }


@pytest.mark.parametrize("meta", [None, {"meshd.dev/error": {"code": "busy"}}])
def test_errors(meta: dict[str, Any] | None) -> None:
    result: dict[str, Any] = {"content": [{"type": "text", "text": "no"}], "isError": True}
    assert json.loads(MODERN.error(1, "no", meta)) == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {**result, "resultType": "complete", "_meta": {**(meta or {}), **STAMP}},
    }
    assert json.loads(OLDER.error(1, "no", meta)) == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": result if meta is None else {**result, "_meta": meta},
    }


@pytest.mark.parametrize("value", [2**64, "\ud800", {1: 2}, object(), {"a": (1,)} | {"b": {1}}])
def test_what_it_cannot_write(value: Any) -> None:
    with pytest.raises(CANNOT_WRITE):
        MODERN.result(1, value)


def test_events() -> None:
    said = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'
    assert progress_event("t", 2, "é").decode() == (
        f'event: message\r\ndata: {said}"t","progress":2.0,"message":"é"}}}}\r\n\r\n'
    )
    assert progress_event(7, 1, "\ud800").decode() == (
        f'event: message\r\ndata: {said}7,"progress":1.0,"message":"\\ud800"}}}}\r\n\r\n'
    )
    assert event(b"{}") == b"event: message\r\ndata: {}\r\n\r\n"
