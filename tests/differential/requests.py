"""Requests to the odd agent: most of them right but for a detail or two.

A draft is a well-formed `tools/call` of either era. Twists then change its envelope, its headers,
its text or the way it is sent. Shrinking takes twists away first, then makes the rest simple.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from meshd.domain.signature import ToolSignature
from tests.differential.arguments import PERCENT, TEXTS, arguments_for, odd, texts, wrong
from tests.differential.text import PLAIN, STYLES, Literally, Style, written
from tests.differential.wire import Header, Request

MODERN = "2026-07-28"
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
META = "io.modelcontextprotocol/"
HOST: Header = (b"host", b"127.0.0.1:8000")
BOTH_TYPES: Header = (b"accept", b"application/json, text/event-stream")
JSON: Header = (b"content-type", b"application/json")


QUIETLY = settings(
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=(
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
    ),
)
"""How tests draw requests: nothing is kept, and time is no matter."""


@dataclass(slots=True)
class Draft:
    """A request that is being made."""

    tool: str
    envelope: dict[str, Any]
    headers: list[Header]
    method: str = "POST"
    path: str = "/mcp"
    query: bytes = b""
    style: Style = PLAIN
    cuts: int = 0
    as_text: list[Callable[[bytes], bytes]] = field(default_factory=list[Callable[[bytes], bytes]])

    @property
    def params(self) -> dict[str, Any]:
        """The params, while they are an object; otherwise ones that are not sent."""
        params = self.envelope.get("params")
        return cast("dict[str, Any]", params) if isinstance(params, dict) else {}

    @property
    def meta(self) -> dict[str, Any]:
        meta = self.params.setdefault("_meta", {})
        return cast("dict[str, Any]", meta) if isinstance(meta, dict) else {}

    def put(self, name: bytes, *values: bytes) -> None:
        self.headers = [one for one in self.headers if one[0] != name]
        self.headers += [(name, value) for value in values]

    def request(self) -> Request:
        body = written(self.envelope, self.style)
        for change in self.as_text:
            body = change(body)
        size = -(-len(body) // (self.cuts + 1)) or 1
        chunks = tuple(body[at : at + size] for at in range(0, len(body), size)) or (b"",)
        if self.cuts == 3:
            chunks = (b"", *chunks, b"")
        return Request(tuple(self.headers), chunks, self.method, self.path, self.query)


def modern(tool: str, arguments: Any, number: Any = 1) -> Draft:
    """Return a call as 2026-07-28 has it."""
    meta: dict[str, Any] = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
    params: dict[str, Any] = {"name": tool, "arguments": arguments, "_meta": meta}
    headers = [
        HOST,
        BOTH_TYPES,
        JSON,
        (b"mcp-protocol-version", MODERN.encode()),
        (b"mcp-method", b"tools/call"),
        (b"mcp-name", tool.encode()),
    ]
    return Draft(tool, _envelope(params, number), headers)


def older(tool: str, arguments: Any, number: Any = 1, version: str = "") -> Draft:
    """Return a call without a session of an older revision, whose version may be left unsaid."""
    headers = [HOST, BOTH_TYPES, JSON]
    if version:
        headers.append((b"mcp-protocol-version", version.encode()))
    return Draft(tool, _envelope({"name": tool, "arguments": arguments}, number), headers)


def _envelope(params: Any, number: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


NUMBERS = (1, 0, -1, 7, "a", "", "1", 2**31, 2**53 + 1)
ERAS = (MODERN,) * 5 + ("", "", *HANDSHAKES)
PLAN = st.sampled_from(
    tuple(
        (number, era, twists)
        for number in NUMBERS
        for era in ERAS
        for twists in ((0, 0), (0, 0), (0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (0, 3))
    )
)
"""The id of two requests, the version of the second one, and how many twists each has."""


def calls(signatures: Mapping[str, ToolSignature]) -> st.SearchStrategy[tuple[Request, Request]]:
    """Return a strategy for two requests at a time to an agent with these tools.

    They ask for the same: what is drawn for both is drawn once, which takes most of the time.
    """
    streams = tuple(name for name, one in signatures.items() if one.mode.is_generator)
    tools = st.sampled_from((*signatures, *streams, "chunks", *("result", "echo", "raises") * 2))

    @st.composite
    def both(draw: DrawFn) -> tuple[Request, Request]:
        tool = draw(tools)
        number, era, counts = draw(PLAN)
        arguments = arguments_for(draw, tool, signatures[tool])
        first = modern(tool, arguments, number)
        if era == MODERN:
            second = modern(tool, arguments, number)
        else:
            second = older(tool, arguments, number, era)
        for draft, count in ((first, counts[0]), (second, counts[1])):
            if tool in streams and count:
                progress(draw, draft)
            for _ in range(count):
                draw(TWIST)(draw, draft)
        return first.request(), second.request()

    return both()


# Twists of the envelope

ID_VALUES: tuple[Any, ...] = (
    None,
    True,
    1.0,
    1.5,
    -0.0,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    [],
    {},
    [1],
    *map(Literally, ("1e2", "-0", "1E400", "NaN", "00", '"\\ud800"', "1" + "0" * 4300)),
    *TEXTS,
)
IDS = st.sampled_from(ID_VALUES)
METHODS = (
    "tools/list",
    "server/discover",
    "ping",
    "initialize",
    "tools/Call",
    "tools/call ",
    "prompts/get",
    "resources/read",
    "notifications/progress",
    "",
    "nope",
)


NO_ARGUMENTS: tuple[Any, ...] = (None, [], {}, "", "{}", 0, False)


def id_(draw: DrawFn, draft: Draft) -> None:
    draft.envelope["id"] = draw(IDS)


def no_field(draw: DrawFn, draft: Draft) -> None:
    draft.envelope.pop(draw(st.sampled_from(("id", "jsonrpc", "method", "params"))), None)


def field_(draw: DrawFn, draft: Draft) -> None:
    name = draw(st.sampled_from(("id", "jsonrpc", "method", "params")))
    draft.envelope[name] = draw(st.sampled_from(("2.0", "1.0", 2.0, 2)) | wrong)


def more_fields(draw: DrawFn, draft: Draft) -> None:
    names = ("result", "error", "extra", "ID", "", "params ", "_meta", "name", "jsonrpc\u0000")
    draft.envelope[draw(st.sampled_from(names) | texts)] = draw(odd)


def method(draw: DrawFn, draft: Draft) -> None:
    draft.envelope["method"] = name = draw(st.sampled_from(METHODS))
    if draw(PERCENT) < 80:
        draft.put(b"mcp-method", name.encode())


def order_of_fields(draw: DrawFn, draft: Draft) -> None:
    draft.envelope = {
        name: draft.envelope[name] for name in draw(st.permutations(list(draft.envelope)))
    }


def name(draw: DrawFn, draft: Draft) -> None:
    value: Any = draw(st.sampled_from(("nope", "", "ADD", "add ", "tools/call", "é")) | odd)
    draft.params["name"] = value
    if isinstance(value, str) and draw(PERCENT) < 80:
        draft.put(
            b"mcp-name",
            _encoded(value) if draw(st.booleans()) else value.encode("utf-8", "replace"),
        )


def arguments(draw: DrawFn, draft: Draft) -> None:
    draft.params["arguments"] = draw(st.sampled_from(NO_ARGUMENTS) | wrong)


def no_param(draw: DrawFn, draft: Draft) -> None:
    draft.params.pop(draw(st.sampled_from(("name", "arguments", "_meta"))), None)


def more_params(draw: DrawFn, draft: Draft) -> None:
    names = ("task", "inputResponses", "requestState", "cursor", "extra", "input_responses", "meta")
    given: tuple[Any, ...] = (None, {}, [], "", "x", {"ttl": 5}, {"a": {"action": "accept"}}, "eyJ")
    draft.params[draw(st.sampled_from(names))] = draw(st.sampled_from(given) | odd)


def meta(draw: DrawFn, draft: Draft) -> None:
    draft.params["_meta"] = draw(st.sampled_from(NO_ARGUMENTS) | wrong)


META_NAMES = (
    *(f"{META}{n}" for n in ("protocolVersion", "clientCapabilities", "clientInfo", "logLevel")),
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
    "fastmcp",
    "_fastmcp",
    "meshd.dev/chunks",
    f"{META}related-task",
    "extra",
)
META_VALUES: tuple[Any, ...] = (
    MODERN,
    "2025-11-25",
    "1.0",
    "debug",
    "nope",
    {},
    None,
    0,
    1,
    -1,
    1.0,
    1.5,
    True,
    2**64,
    "",
    "token",
    {"name": "c", "version": "1"},
    {"name": "c"},
    {"name": "", "version": ""},
    {"name": 1, "version": "1"},
    {"name": "c", "version": "1", "title": None},
    {"name": "c", "version": "1", "title": "C", "description": "", "websiteUrl": "no URL"},
    {"name": "c", "version": "1", "icons": []},
    {"name": "c", "version": "1", "icons": [{"src": "data:,x"}]},
    {"name": "c", "version": "1", "icons": [1]},
    {"name": "c", "version": "1", "extra": [1]},
    {"name": "c", "version": "1", "_meta": {}},
    {"roots": {"listChanged": True}},
    {"roots": {"listChanged": "maybe"}},
    {"experimental": {"x": {}}},
    {"experimental": {"x": 1}},
    {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    {"tasks": {"list": {}}},
    {"sampling": {"tools": {}, "context": {}}},
    {"elicitation": {}},
    {"unknown": 1},
    {"sampling": {}},
    {"sampling": None},
    {"sampling": []},
    {"elicitation": {"form": {}}, "extensions": {"x/y": {}}},
    {"version": "1.0"},
    {"version": "2.1.0"},
    "json",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "k=v",
)


def meta_field(draw: DrawFn, draft: Draft) -> None:
    value = draw(st.sampled_from(META_VALUES)) if draw(PERCENT) < 85 else draw(odd)
    draft.meta[draw(st.sampled_from(META_NAMES))] = value


def no_meta_field(draw: DrawFn, draft: Draft) -> None:
    draft.meta.pop(draw(st.sampled_from(META_NAMES[:2])), None)


def like_a_client(draw: DrawFn, draft: Draft) -> None:
    """Send what FastMCP's own client sends with every call."""
    draft.meta["progressToken"] = draw(st.sampled_from((1, "p", 0)))
    draft.meta[f"{META}logLevel"] = "debug"
    draft.meta[f"{META}clientInfo"] = {"name": "mcp", "version": "0.1.0"}


def progress(draw: DrawFn, draft: Draft) -> None:
    draft.meta["progressToken"] = draw(
        st.sampled_from((1, 0, -1, "", "p", "é", 2**63, 10**25)) | odd
    )


def chunks_as_json(draw: DrawFn, draft: Draft) -> None:
    draft.meta["progressToken"] = draw(st.sampled_from((1, "p")))
    draft.meta["meshd.dev/chunks"] = draw(st.sampled_from(("json", "text", None, 1, [])))


# Twists of the text


def style(draw: DrawFn, draft: Draft) -> None:
    draft.style = draw(st.sampled_from(STYLES))


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(old, new, 1)


BODIES = (
    b"",
    b" ",
    b"null",
    b"{}",
    b"[]",
    b"[{}]",
    b"1",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b"nope",
    b"{'a': 1}",
    b'{"jsonrpc":"2.0","id":1,"result":{}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b"[" * 1_500 + b"]" * 1_500,
)
CHANGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.decode("utf-8", "replace").encode("utf-16"),
    lambda text: text.decode("utf-8", "replace").encode("utf-16-le"),
    lambda text: text.decode("utf-8", "replace").encode("utf-32"),
    lambda text: text.decode("utf-8", "replace").encode("latin-1", "replace"),
    lambda text: b" \r\n\t" + text + b"\n ",
    lambda text: b"\x0b" + text,
    lambda text: b"\xc2\xa0" + text,
    lambda text: text + b"\x00",
    lambda text: text + b"x",
    lambda text: text + text,
    lambda text: text[:-1],
    lambda text: text[1:],
    lambda text: b"[" + text + b"]",
    lambda text: b"[" + text + b"," + text + b"]",
    lambda text: text[:-1] + b",}",
    lambda text: text + b"// comment",
    _replaced(b"tools/call", b"tools\\/call"),
    _replaced(b"tools/call", b"\\u0074ools/call"),
    _replaced(b"tools/call", b"tools/c\xff"),
    _replaced(b"tools/call", b"tools/\xc0\xafcall"),
    _replaced(b'"2.0"', b"2.0"),
    _replaced(b'"method"', b'"meth\\u006fd"'),
    _replaced(b'"id"', b'"id":5,"id"'),
    _replaced(b'"method"', b'"method":"ping","method"'),
    _replaced(b'"params"', b'"params":{},"params"'),
    _replaced(b'"name"', b'"name":"add","name"'),
    _replaced(b'"arguments"', b'"arguments":{"a":5,"b":6},"arguments"'),
    _replaced(b'"_meta"', b'"_meta":{},"_meta"'),
    _replaced(b'"jsonrpc"', b'"jsonrpc":"1.0","jsonrpc"'),
    _replaced(b"{", b'{"":1,'),
    _replaced(b"{", b'{"\x01":1,'),
    _replaced(b'"text":"', b'"text":"\n'),
    _replaced(b'"text":"', b'"text":"\xed\xa0\x80'),
    _replaced(b'"text":"', b'"text":"\\ud83d'),
    _replaced(b'"a":', b'"a":0'),
    _replaced(b'"a":', b'"a":-'),
)


def as_text(draw: DrawFn, draft: Draft) -> None:
    draft.as_text.append(draw(st.sampled_from(CHANGES)))


def other_text(draw: DrawFn, draft: Draft) -> None:
    body = draw(st.sampled_from(BODIES))
    draft.as_text.append(lambda _: body)


def broken(draw: DrawFn, draft: Draft) -> None:
    """Put some byte somewhere, or take one away."""
    share, byte = draw(st.integers(0, 1_000)), draw(st.binary(max_size=1))

    def change(text: bytes) -> bytes:
        at = len(text) * share // 1_000
        return text[:at] + byte + text[at + 1 - len(byte) :]

    draft.as_text.append(change)


# Twists of the headers

VERSIONS = (
    b"",
    b"2026-07-28 ",
    b"2026-07-29",
    b"1.0",
    b"DRAFT",
    b"\xff",
    b"2026-07-28, 2026-07-28",
)
ACCEPTS = (
    b"",
    b"*/*",
    b"application/json",
    b"text/event-stream",
    b"application/*, text/*",
    b"application/json;q=0.5, text/event-stream;q=0.1",
    b"application/json;q=0, text/event-stream",
    b"application/json, text/event-stream;q=0.0",
    b"application/json;charset=utf-8,text/event-stream",
    b"APPLICATION/JSON, TEXT/EVENT-STREAM",
    b"text/event-stream, application/json",
    b"application/jsonx, text/event-stream",
    b"application/json text/event-stream",
    b"text/html",
    b", ,",
    b"*/*;q=0",
    b"application/json, text/event-stream, */*;q=0",
    b"\xff",
)
CONTENT_TYPES = (
    b"",
    b"application/json; charset=utf-8",
    b"application/json;charset=utf-16",
    b"application/json;",
    b"Application/JSON",
    b"application/json, text/plain",
    b"text/plain, application/json",
    b"application/jsonx",
    b"application/json-rpc",
    b"application/json5; x",
    b" application/json",
    b"text/plain",
    b"application/x-www-form-urlencoded",
)
HOSTS = (
    b"localhost",
    b"127.0.0.1",
    b"127.0.0.1:9",
    b"[::1]:80",
    b"evil.example",
    b"LOCALHOST:8000",
    b"127.0.0.1.evil.example",
    b"",
    b"a b",
)
ORIGINS = (
    b"http://127.0.0.1:8000",
    b"http://localhost",
    b"http://evil.example",
    b"null",
    b"",
    b"https://127.0.0.1:8000",
    b"http://127.0.0.1:8000/",
    b"HTTP://LOCALHOST:8000",
    b"http://[::1]:8000",
)
METHOD_NAMES = (
    b"tools/list",
    b"tools/call ",
    b" tools/call",
    b"TOOLS/CALL",
    b"",
    b"=?base64?dG9vbHMvY2FsbA==?=",
)
OTHERS: tuple[Header, ...] = (
    (b"mcp-session-id", b"abc"),
    (b"mcp-session-id", b""),
    (b"last-event-id", b"1"),
    (b"mcp-param-a", b"1"),
    (b"mcp-param-session", b"x"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"identity"),
    (b"accept-encoding", b"gzip, br"),
    (b"authorization", b"Bearer nope"),
    (b"authorization", b"Basic eDp5"),
    (b"cookie", b"a=b"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"traceparent", b"nope"),
    (b"x-forwarded-host", b"evil.example"),
    (b"x-forwarded-proto", b"https"),
    (b"x-http-method-override", b"GET"),
    (b"user-agent", b"\xff\x80"),
    (b"expect", b"100-continue"),
    (b"content-length", b"0"),
    (b"content-length", b"5000000"),
    (b"content-length", b"x"),
    (b"content-length", b"-1"),
    (b"content-length", b"9" * 5_000),
    (b"content-length", b"0" * 30 + b"1"),
    (b"te", b"trailers"),
    (b"connection", b"close"),
    (b"upgrade", b"h2c"),
    (b"access-control-request-method", b"POST"),
    (b"meshd-timeout", b"30"),
    (b"meshd-timeout", b"nope"),
    (b"x-mesh-timeout", b"30"),
    (b"x-mesh-timeout", b"0.5"),
)
ROUTING = (b"mcp-protocol-version", b"mcp-method", b"mcp-name")


HEADERS: Mapping[bytes, tuple[bytes, ...]] = {
    b"accept": ACCEPTS,
    b"content-type": CONTENT_TYPES,
    b"host": HOSTS,
    b"origin": ORIGINS,
    b"mcp-method": METHOD_NAMES,
    b"mcp-name": (),
    b"mcp-protocol-version": VERSIONS,
}


def no_header(draw: DrawFn, draft: Draft) -> None:
    draft.put(draw(st.sampled_from((*ROUTING, b"accept", b"content-type", b"host"))))


def twice(draw: DrawFn, draft: Draft) -> None:
    name = draw(st.sampled_from((*ROUTING, b"accept", b"content-type", b"host", b"origin")))
    value = next((v for n, v in draft.headers if n == name), b"x")
    other = draw(st.sampled_from((value, b"", b"other", value.upper())))
    draft.put(name, *draw(st.permutations((value, other))))


def spaced(draw: DrawFn, draft: Draft) -> None:
    at = draw(st.integers(0, len(draft.headers) - 1)) if draft.headers else 0
    pattern = draw(st.sampled_from((b" %b", b"%b ", b"\t%b\t", b"%b \t ", b"%b\x0b", b"%b\xa0")))
    for index, (name, value) in enumerate(draft.headers):
        if index == at:
            draft.headers[index] = (name, pattern % value)


def version(draw: DrawFn, draft: Draft) -> None:
    known = tuple(one.encode() for one in (*HANDSHAKES, MODERN))
    draft.put(b"mcp-protocol-version", draw(st.sampled_from((*known, *VERSIONS))))


def both_versions(draw: DrawFn, draft: Draft) -> None:
    said = draw(st.sampled_from((*HANDSHAKES, MODERN, "2027-01-01", "")))
    draft.put(b"mcp-protocol-version", said.encode())
    draft.meta[f"{META}protocolVersion"] = said


def method_header(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"mcp-method", draw(st.sampled_from(METHOD_NAMES)))


def name_header(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"mcp-name", draw(st.sampled_from(name_values(draft.tool))))


def name_values(right: str) -> tuple[bytes, ...]:
    """Return right and wrong values of the header that repeats a tool's name."""
    payload = base64.b64encode(right.encode())
    return (
        _encoded(right),
        b"=?BASE64?" + payload + b"?=",
        b"=?base64?" + payload.rstrip(b"=") + b"?=",
        b"=?base64?" + payload + b" ?=",
        b"=?base64?!?=",
        b"=?base64??=",
        b"=?base64?" + base64.b64encode(b"\xff") + b"?=",
        right.upper().encode(),
        right.encode() + b" ",
        b" " + right.encode(),
        b"echo",
        b"",
        b"\xc3\xa9",
        b'"' + right.encode() + b'"',
    )


def _encoded(value: str) -> bytes:
    return b"=?base64?" + base64.b64encode(value.encode("utf-8", "surrogatepass")) + b"?="


def accept(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"accept", *draw(st.lists(st.sampled_from(ACCEPTS), min_size=1, max_size=2)))


def content_type(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"content-type", draw(st.sampled_from(CONTENT_TYPES)))


def host(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"host", draw(st.sampled_from(HOSTS)))


def origin(draw: DrawFn, draft: Draft) -> None:
    draft.put(b"origin", draw(st.sampled_from(ORIGINS)))


def another_header(draw: DrawFn, draft: Draft) -> None:
    draft.headers.append(draw(st.sampled_from(OTHERS)))


def order_of_headers(draw: DrawFn, draft: Draft) -> None:
    draft.headers = list(draw(st.permutations(draft.headers)))


# Twists of the way


VERBS = ("GET", "DELETE", "OPTIONS", "PUT", "HEAD", "PATCH", "TRACE", "post", "BREW")
PATHS = (
    "/mcp/",
    "/",
    "",
    "/mcp/x",
    "//mcp",
    "/MCP",
    "/mcp;x",
    "/sse",
    "/messages",
    "/mcp\n",
    "/é",
)


def verb(draw: DrawFn, draft: Draft) -> None:
    draft.method = draw(st.sampled_from(VERBS))


def path(draw: DrawFn, draft: Draft) -> None:
    draft.path = draw(st.sampled_from(PATHS))


def query(draw: DrawFn, draft: Draft) -> None:
    draft.query = draw(st.sampled_from((b"x=1", b"session_id=1", b"%ff")))


def in_pieces(draw: DrawFn, draft: Draft) -> None:
    draft.cuts = draw(st.integers(1, 4))


Twist = Callable[[DrawFn, Draft], None]

TWISTS: tuple[Twist, ...] = (
    # The twists that leave a plain call first: the more often.
    *(like_a_client, progress, style, in_pieces, meta_field, id_) * 2,
    no_field,
    field_,
    more_fields,
    method,
    order_of_fields,
    order_of_headers,
    name,
    arguments,
    no_param,
    more_params,
    meta,
    no_meta_field,
    chunks_as_json,
    as_text,
    other_text,
    broken,
    no_header,
    twice,
    spaced,
    version,
    both_versions,
    method_header,
    name_header,
    accept,
    content_type,
    host,
    origin,
    another_header,
    verb,
    path,
    query,
)
TWIST = st.sampled_from(TWISTS)
