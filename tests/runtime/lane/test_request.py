"""Which requests the lane takes, and what it reads in them."""

from typing import Any

import pytest

from meshd.runtime.inbound import TIMES
from meshd.runtime.lane.request import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_BYTES,
    PlainCall,
    Requests,
)
from tests.runtime.asgi import META, OUTER, Question, message_of, newer, older

MAX_BYTES = 100_000
REQUESTS = Requests(
    {"tool": "the tool", "other": "the other"},
    {"127.0.0.1:8000", "here.example"}.__contains__,
    MAX_BYTES,
    (b"traceparent",),
)
CLIENT = "io.modelcontextprotocol/clientInfo"
LEVEL = "io.modelcontextprotocol/logLevel"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


def read(question: Question) -> PlainCall[str] | None:
    heads = REQUESTS.heads(question.scope())
    return None if heads is None else REQUESTS.call(heads, b"".join(question.chunks))


def body(**changed: Any) -> Question:
    """Return a newer call with other parameters; None takes one away."""
    params = {"name": "tool", "arguments": {}, "_meta": META, **changed}
    kept = {name: value for name, value in params.items() if value is not None}
    return Question(newer().headers, [message_of(kept)])


def test_a_call_in_the_newer_form() -> None:
    assert read(newer(arguments={"a": 1}, number="x")) == PlainCall(
        "the tool", "x", {"a": 1}, META, modern=True
    )


@pytest.mark.parametrize("version", ["", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_call_in_the_older_form(version: str) -> None:
    assert read(older(arguments={"a": 1}, version=version)) == PlainCall(
        "the tool", 1, {"a": 1}, {}, modern=False
    )


@pytest.mark.parametrize(
    "meta",
    [
        {CLIENT: {"name": "any", "version": "1"}},
        {CLIENT: {"name": "any", "version": "1", "title": "Any", "websiteUrl": "x"}},
        {CLIENT: None},
        {CLIENT: {"name": "any", "version": "1"}, LEVEL: "debug"},
        {LEVEL: None},
        {CLIENT: {"name": "any", "version": "1", "icons": [{"src": "x"}], "title": None}},
        {CAPABILITIES: {"sampling": {}, "elicitation": {"form": {}}, "extensions": {"a/b": {}}}},
        {"of": {"others": [1]}},
    ],
)
def test_what_a_client_may_say_of_itself(meta: dict[str, Any]) -> None:
    assert read(newer(**meta)) == PlainCall("the tool", 1, {}, {**META, **meta}, modern=True)


@pytest.mark.parametrize(
    "meta",
    [
        {CLIENT: {"name": "any"}},
        {CLIENT: {"name": "any", "version": 1}},
        {CLIENT: {"name": "any", "version": "1", "icons": [1]}},
        {CLIENT: {"name": "any", "version": "1", "title": 1}},
        {CLIENT: "any"},
        {LEVEL: "loud"},
        {LEVEL: ["debug"]},
        {CAPABILITIES: {"sampling": 1}},
        {CAPABILITIES: []},
        {CAPABILITIES: None},
        {"io.modelcontextprotocol/protocolVersion": "2025-11-25"},
        {"fastmcp": {"version": "2"}},
        {"progressToken": None},
        {"progressToken": True},
        {"progressToken": 1.5},
    ],
)
def test_what_of_it_is_left_to_fastmcp(meta: dict[str, Any]) -> None:
    assert read(newer(**meta)) is None


@pytest.mark.parametrize("form", [newer, older])
@pytest.mark.parametrize("token", [7, "seven", 2**70])
def test_a_progress_token_and_a_trace_are_noted(form: Any, token: Any) -> None:
    call = read(form(progressToken=token, traceparent="any"))
    assert call is not None
    assert (call.progress_token, call.has_trace) == (token, True)


@pytest.mark.parametrize("given", [{"arguments": None}, {"arguments": {}}])
def test_arguments_may_be_absent(given: dict[str, Any]) -> None:
    call = read(body(**given))
    assert call is not None
    assert call.arguments == {}


def test_arguments_may_be_null() -> None:
    params = {"name": "tool", "arguments": None, "_meta": META}
    call = read(Question(newer().headers, [message_of(params)]))
    assert call is not None
    assert call.arguments == {}


def test_integers_of_any_size_stay_what_they_are() -> None:
    call = read(newer(arguments={"a": 2**70, "b": 1e400, "c": -0.0}))
    assert call is not None
    assert repr(call.arguments) == f"{{'a': {2**70}, 'b': inf, 'c': -0.0}}"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"name": "unknown"},
        {"name": 1},
        {"name": ["tool"]},
        {"arguments": [1]},
        {"arguments": "{}"},
        {"_meta": None},
        {"_meta": []},
        {"inputResponses": {}},
        {"requestState": "x"},
        {"task": {}},
        {"unknown": 1},
    ],
)
def test_parameters_that_are_left_to_fastmcp(changed: dict[str, Any]) -> None:
    assert read(body(**changed)) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"{",
        b"{}",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"name"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"tool"}}',
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"tool"}}',
        b'{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"tool"}}',
        b'{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"tool"}}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"tool"}}',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"tool"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool"},"more":1}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\xff"}}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool"}}',
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool","arguments":'
            b'{"a":"\\ud800"}}}'
        ),
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool","arguments":'
        + b'{"a":' * 500
        + b"1"
        + b"}" * 500
        + b"}}",
    ],
)
def test_bodies_that_are_left_to_fastmcp(message: bytes) -> None:
    assert read(Question(list(OUTER), [message])) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"host", []),
        (b"host", [b"evil.example"]),
        (b"host", [b"here.example", b"here.example"]),
        (b"host", [b"here.example "]),
        (b"host", ["hère".encode()]),
        (b"origin", [b"http://here.example"]),
        (b"accept", []),
        (b"accept", [b"application/json"]),
        (b"accept", [b"text/event-stream"]),
        (b"content-type", []),
        (b"content-type", [b"text/plain"]),
        (b"content-type", [b"application/jsonx"]),
        (b"content-length", [b"100001"]),
        (b"content-length", [b"-1000"]),
        (b"content-length", [b"10", b"10"]),
        (b"mcp-protocol-version", [b"2026-07-29"]),
        (b"mcp-protocol-version", [b"2026-07-28", b"2026-07-28"]),
        (b"mcp-method", []),
        (b"mcp-method", [b"tools/list"]),
        (b"mcp-method", [b"tools/call "]),
        (b"mcp-name", []),
        (b"mcp-name", [b"other"]),
        (b"mcp-name", [b"unknown"]),
        (b"mcp-name", [b"=?base64?dG9vbA==?="]),
        (b"traceparent", [b"a", b"b"]),
    ],
)
def test_headers_that_are_left_to_fastmcp(name: bytes, values: list[bytes]) -> None:
    question = newer().with_headers(*((name, value) for value in values), without=name)
    assert read(question) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"host", b"here.example"),
        (b"accept", b"*/*"),
        (b"accept", b"text/event-stream;q=0.5 , Application/JSON"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"99999"),
        (b"mcp-session-id", b"any"),
        (b"mcp-param-any", b"any"),
    ],
)
def test_headers_that_are_plain_too(name: bytes, value: bytes) -> None:
    assert read(newer().with_headers((name, value), without=name)) is not None


def test_headers_that_do_not_matter_may_come_twice() -> None:
    assert read(newer().with_headers((b"cookie", b"a"), (b"cookie", b"b"))) is not None


def test_an_older_call_with_a_session_is_left_to_fastmcp() -> None:
    assert read(older().with_headers((b"mcp-session-id", b"any"))) is None


@pytest.mark.parametrize("changed", [{"path": "/mcp/"}, {"path": "/"}, {"verb": "GET"}])
def test_only_posts_to_the_path_are_plain(changed: dict[str, Any]) -> None:
    question = newer()
    for name, value in changed.items():
        setattr(question, name, value)
    assert read(question) is None


def remembered(*questions: Question) -> list[int]:
    """Return how much is remembered of the headers of these questions."""
    requests = Requests({"tool": 1}, lambda _: True, MAX_BYTES, (b"traceparent", *TIMES))
    for question in questions:
        assert requests.heads(question.scope())
    return [len(requests._seen), len(requests._plain)]  # pyright: ignore[reportPrivateUsage]


def test_what_is_remembered_of_headers_has_an_end() -> None:
    hosts = [
        newer().with_headers((b"host", b"h%d" % number), without=b"host")
        for number in range(2 * MAX_REMEMBERED + 10)
    ]
    assert remembered(*hosts) == [10, 10]


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ((b"user-agent", b"any"), [1, 1]),
        ((b"traceparent", b"any"), [0, 1]),
        ((b"meshd-timeout", b"30.000"), [1, 1]),
        ((b"meshd-timeout", b"soon"), [0, 1]),
        ((b"authorization", b"Bearer secret"), [0, 0]),
        ((b"cookie", b"x" * MAX_REMEMBERED_BYTES), [0, 0]),
    ],
)
def test_what_of_headers_is_remembered(header: tuple[bytes, bytes], kept: list[int]) -> None:
    assert remembered(newer().with_headers(header)) == kept


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([(b"meshd-timeout", b"\t1.5 "), (b"x-mesh-timeout", b"30")], 1.5),
        ([(b"x-mesh-timeout", b"30")], 30.0),
        ([(b"x-mesh-timeout", b"30"), (b"traceparent", b"any")], None),
        ([(b"meshd-timeout", b"soon")], None),
        ([], None),
    ],
)
def test_time_is_read_at_once_where_nothing_else_makes_a_context(
    lines: list[tuple[bytes, bytes]], left: float | None
) -> None:
    requests = Requests({"tool": 1}, lambda _: True, MAX_BYTES, (b"traceparent", *TIMES))
    question = newer().with_headers(*lines)
    for _ in range(2):
        heads = requests.heads(question.scope())
        assert heads is not None
        assert (heads.seconds_left, heads.is_bare) == (left, not lines)


def test_a_host_that_was_refused_is_not_remembered_as_good() -> None:
    bad = newer().with_headers((b"host", b"evil.example"), without=b"host")
    assert [read(bad), read(bad)] == [None, None]
    assert read(newer()) is not None


def test_names_that_no_header_can_say_are_called_in_the_older_form_only() -> None:
    requests = Requests({"größe": 1}, lambda _: True, MAX_BYTES)
    question = older("größe")
    heads = requests.heads(question.scope())
    assert heads is not None
    assert requests.call(heads, question.chunks[0])
    assert requests.heads(newer("größe").scope()) is None
