"""Which requests are plain, and what they ask for.

Goes in: an ASGI scope, then the body. Comes out: a call that is certainly what FastMCP would make
of the request, or `None` for anything else, valid or not: that is FastMCP's to answer. Nothing here
has an effect.

A request is plain if it is a POST to the MCP path, from a host that may be named, without Origin,
with one value for each header that matters, and its body is a `tools/call` without members that
this module does not know. It comes in the form of the 2026-07-28 revision, whose headers repeat
what the body says, or in the older form, without a session.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.types import Scope

from meshd.runtime.inbound import TIMES, time_left
from meshd.runtime.protocol import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    MCP_PATH,
    MODERN_VERSION,
    PROTOCOL_VERSION,
)
from meshd.runtime.request_headers import is_host

MODERN_BYTES = MODERN_VERSION.encode()

_LEVELS = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)

_TOKENS = frozenset({int, str})
_TRACE = frozenset({"traceparent", "baggage"})
_HANDSHAKE = frozenset(version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS)
_KNOWN_CLIENT = frozenset({"name", "version", "title", "description", "websiteUrl"})
_ROUTING = frozenset(
    {
        b"host",
        b"origin",
        b"accept",
        b"content-type",
        b"content-length",
        b"authorization",
        b"mcp-protocol-version",
        b"mcp-method",
        b"mcp-name",
        b"mcp-session-id",
    }
)
MAX_REMEMBERED = 500
"""Sets of headers that are remembered, of at most so many bytes:"""
MAX_REMEMBERED_BYTES = 2_000
_SHORT = 3
"""Digits of a length that is within any limit."""
_LONG = 18
"""Digits of a length that is within none; Python refuses to read very many."""

ToolT = TypeVar("ToolT")
Headers = Mapping[bytes, bytes]
Line = tuple[bytes, bytes]


# Not frozen, which would cost more than all the checks of a header.
@dataclass(slots=True)
class PlainCall(Generic[ToolT]):
    """One call that a plain request makes."""

    tool: ToolT
    id: int | str
    arguments: dict[str, Any]
    meta: dict[str, Any]
    modern: bool
    progress_token: int | str | None = None
    has_trace: bool = False


@dataclass(frozen=True, slots=True)
class Heads(Generic[ToolT]):
    """The headers of a request that may be plain: by name, and what they say of its form.

    `tool` is the one that the newer form names. `is_bare` says that none of them makes a context;
    `seconds_left` is set if the time that is left is all that they say of it.
    """

    headers: Headers
    tool: ToolT | None
    is_bare: bool
    seconds_left: float | None = None


class Requests(Generic[ToolT]):
    """Reads requests for one agent's tools."""

    def __init__(
        self,
        tools: Mapping[str, ToolT],
        may_be_named: Callable[[str], bool],
        max_bytes: int,
        context_headers: Iterable[bytes] = (),
    ) -> None:
        """Read calls of these tools; `may_be_named` judges the Host header as FastMCP does.

        `context_headers` are those that make the context of a call.
        """
        self._tools = tools
        self._by_header = {name.encode(): tool for name, tool in tools.items() if name.isascii()}
        self._may_be_named = may_be_named
        self._max_bytes = max_bytes
        self._context = frozenset(context_headers)
        self._more_context = self._context - TIMES
        self._single = _ROUTING | self._context
        self._seen: dict[tuple[Line, ...], Heads[ToolT]] = {}
        self._plain: set[tuple[bytes | None, ...]] = set()

    def heads(self, scope: Scope) -> Heads[ToolT] | None:
        """Return what the headers say, or None if they make no plain request."""
        if scope["path"] != MCP_PATH or scope["method"] != "POST":
            return None
        lines: list[Line] = scope["headers"]
        # A client says the same again and again: what was judged once is remembered.
        key = tuple(lines)
        heads = self._seen.get(key)
        if heads is None:
            heads = self._judged(lines)
            if heads is not None and is_worth_remembering(heads):
                if len(self._seen) >= MAX_REMEMBERED:
                    self._seen.clear()
                self._seen[key] = heads
        return heads

    def _judged(self, lines: list[Line]) -> Heads[ToolT] | None:
        headers = dict(lines)
        if len(headers) != len(lines) and self._are_repeated(lines):
            return None
        get = headers.get
        said = (
            get(b"host"),
            get(b"accept"),
            get(b"content-type"),
            get(b"mcp-protocol-version"),
            get(b"mcp-method"),
            get(b"origin"),
            get(b"mcp-session-id"),
        )
        if said not in self._plain:
            if not self._is_plain(headers):
                return None
            if is_small_and_open(headers):
                if len(self._plain) >= MAX_REMEMBERED:
                    self._plain.clear()
                self._plain.add(said)
        length = get(b"content-length", b"")
        if len(length) > _SHORT and not self._is_bearable(length):
            return None
        tool = None
        if get(b"mcp-protocol-version") == MODERN_BYTES:
            tool = self._by_header.get(get(b"mcp-name", b""))
            if tool is None:
                return None
        if self._context.isdisjoint(headers):
            return Heads(headers, tool, is_bare=True)
        left = time_left(headers) if self._more_context.isdisjoint(headers) else None
        return Heads(headers, tool, is_bare=False, seconds_left=left)

    def call(self, heads: Heads[ToolT], body: bytes) -> PlainCall[ToolT] | None:
        """Return the call that the body makes, or None if it is not plain."""
        try:
            request = from_json(body)
            number = request["id"]
            params = request["params"]
            # Of subclasses there are none, and True is no number here.
            if (
                request["method"] != "tools/call"
                or request["jsonrpc"] != "2.0"
                or len(request) != 4
                or (type(number) is not int and type(number) is not str)
            ):
                return None
            tool = self._tools[params["name"]]
        except (ValueError, LookupError, TypeError):
            return None
        if heads.tool is None:
            return _older(tool, number, params)
        return _modern(tool, number, params) if heads.tool is tool else None

    def _is_bearable(self, length: bytes) -> bool:
        """Say whether a body may be as long as it is said to be."""
        return length.isdigit() and len(length) < _LONG and int(length) <= self._max_bytes

    def _are_repeated(self, lines: Iterable[Line]) -> bool:
        """Say whether one of the headers that matter comes more than once."""
        names = [name for name, _ in lines if name in self._single]
        return len(names) != len(set(names))

    def _is_plain(self, headers: Headers) -> bool:
        """Say whether the headers, but for the name of the tool, are those of one of the forms."""
        if b"origin" in headers or not _takes_both_answers(headers):
            return False
        host = headers.get(b"host", b"")
        if not is_host(host) or not self._may_be_named(host.decode("ascii")):
            return False
        version = headers.get(b"mcp-protocol-version")
        if version == MODERN_BYTES:
            return headers.get(b"mcp-method") == b"tools/call"
        return (version is None or version in _HANDSHAKE) and b"mcp-session-id" not in headers


def _modern(tool: ToolT, number: int | str, params: dict[str, Any]) -> PlainCall[ToolT] | None:
    try:
        meta = params["_meta"]
        arguments = params["arguments"]
        # What most clients send is judged without looking for what else there could be.
        if (
            len(params) == 3
            and type(arguments) is dict
            and meta[PROTOCOL_VERSION] == MODERN_VERSION
            and meta[CLIENT_CAPABILITIES] == {}
            and (len(meta) == 2 or (len(meta) == 3 and _is_plain_client(meta[CLIENT_INFO])))
        ):
            return PlainCall(tool, number, cast("dict[str, Any]", arguments), meta, modern=True)
    except (LookupError, TypeError):
        pass
    call = _older(tool, number, params)
    if call is None or not (_is_modern_meta(call.meta) or _is_valid(params)):
        return None
    call.modern = True
    return call


def _is_valid(params: dict[str, Any]) -> bool:
    """Ask the SDK about what is not judged here: a client's capabilities, say."""
    meta = params.get("_meta", {})
    # Of what the headers must repeat, and of what must be there, the SDK has other words.
    if (
        meta.get(PROTOCOL_VERSION) != MODERN_VERSION
        or type(meta.get(CLIENT_CAPABILITIES)) is not dict
    ):
        return False
    try:
        validate_client_request("tools/call", MODERN_VERSION, params)
    except ValidationError:
        return False
    return True


def _older(tool: ToolT, number: int | str, params: dict[str, Any]) -> PlainCall[ToolT] | None:
    members = 1
    arguments: object = {}
    meta: object = {}
    if "arguments" in params:
        members += 1
        arguments = {} if params["arguments"] is None else params["arguments"]
    if "_meta" in params:
        members += 1
        meta = params["_meta"]
    if type(arguments) is not dict or type(meta) is not dict or members != len(params):
        return None
    said = cast("dict[str, Any]", meta)
    token = said.get("progressToken")
    if "fastmcp" in said or ("progressToken" in said and type(token) not in _TOKENS):
        return None
    return PlainCall(
        tool,
        number,
        cast("dict[str, Any]", arguments),
        said,
        modern=False,
        progress_token=token,
        has_trace=not _TRACE.isdisjoint(said),
    )


def is_worth_remembering(heads: Heads[Any]) -> bool:
    """Say whether the same headers may come again, with nothing in them to be kept from memory."""
    is_known = heads.is_bare or heads.seconds_left is not None
    return is_known and is_small_and_open(heads.headers)


def is_small_and_open(headers: Headers) -> bool:
    """Say whether headers are small, and hold no secret."""
    size = sum(map(len, headers)) + sum(map(len, headers.values()))
    return size <= MAX_REMEMBERED_BYTES and b"authorization" not in headers


def _takes_both_answers(headers: Headers) -> bool:
    kinds = headers.get(b"accept", b"").split(b",")
    accepted = {kind.split(b";")[0].strip(b" \t").lower() for kind in kinds}
    content = headers.get(b"content-type", b"").split(b";")[0].rstrip(b" \t")
    is_taken = b"*/*" in accepted or accepted >= {b"application/json", b"text/event-stream"}
    return is_taken and content == b"application/json"


def _is_modern_meta(meta: dict[str, Any]) -> bool:
    if meta.get(PROTOCOL_VERSION) != MODERN_VERSION or meta.get(CLIENT_CAPABILITIES) != {}:
        return False
    client = meta.get(CLIENT_INFO)
    if client is not None and not _is_plain_client(client):
        return False
    level = meta.get(LOG_LEVEL)
    return level is None or (type(level) is str and level in _LEVELS)


def _is_plain_client(client: object) -> bool:
    if type(client) is not dict:
        return False
    said = cast("dict[str, Any]", client)
    if type(said.get("name")) is not str or type(said.get("version")) is not str:
        return False
    return len(said) == 2 or all(
        name in _KNOWN_CLIENT and type(text) is str for name, text in said.items()
    )
