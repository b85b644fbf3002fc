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

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic_core import from_json

MODERN_VERSION = "2026-07-28"
MODERN_BYTES = MODERN_VERSION.encode()
MCP_PATH = "/mcp"
DEEPEST = 64
"""Levels of lists and objects in a body; FastMCP's own limit depends on the stack."""

_META = "io.modelcontextprotocol/"
_VERSION = _META + "protocolVersion"
_CAPABILITIES = _META + "clientCapabilities"
_CLIENT = _META + "clientInfo"
_LOG_LEVEL = _META + "logLevel"
_LEVELS = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)

_HANDSHAKE = frozenset(version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS)
_KNOWN_CLIENT = frozenset({"name", "version", "title", "description", "websiteUrl"})
_ALWAYS = frozenset(
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
_MAX_REMEMBERED = 1_000

ToolT = TypeVar("ToolT")
Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class PlainCall(Generic[ToolT]):
    """One call that a plain request makes."""

    tool: ToolT
    id: int | str
    arguments: dict[str, Any]
    meta: Mapping[str, Any]
    modern: bool
    progress_token: int | str | None


class Requests(Generic[ToolT]):
    """Reads requests for one agent's tools."""

    def __init__(
        self,
        tools: Mapping[str, ToolT],
        may_be_named: Callable[[str], bool],
        more_headers: Iterable[bytes] = (),
    ) -> None:
        """Read calls of these tools; `may_be_named` judges the Host header as FastMCP does."""
        self._tools = tools
        self._by_header = {name.encode(): tool for name, tool in tools.items() if name.isascii()}
        self._may_be_named = may_be_named
        self._hosts: set[bytes] = set()
        self._wanted = _ALWAYS.union(more_headers)

    def headers(self, scope: Mapping[str, Any]) -> dict[bytes, bytes] | None:
        """Return the headers that matter, or None if they make no plain request."""
        if scope["method"] != "POST" or scope["path"] != MCP_PATH:
            return None
        found: dict[bytes, bytes] = {}
        wanted = self._wanted
        for name, value in scope["headers"]:
            if name in wanted:
                if name in found:
                    return None
                found[name] = value
            elif name[:10] == b"mcp-param-":
                return None
        if not self._is_for_this_host(found) or not _takes_both_answers(found):
            return None
        return found if self._has_a_form(found) else None

    def call(self, headers: Headers, body: bytes) -> PlainCall[ToolT] | None:
        """Return the call that the body makes, or None if it is not plain."""
        try:
            message = from_json(body)
        except ValueError:
            return None
        if type(message) is not dict or len(cast("dict[str, Any]", message)) != 4:
            return None
        request = cast("dict[str, Any]", message)
        if request.get("jsonrpc") != "2.0" or request.get("method") != "tools/call":
            return None
        number = request.get("id")
        if type(number) is not int and type(number) is not str:
            return None
        params = request.get("params")
        if type(params) is not dict or not is_shallow(body, cast("dict[str, Any]", params)):
            return None
        return self._call(headers, number, cast("dict[str, Any]", params))

    def _call(
        self, headers: Headers, number: int | str, params: dict[str, Any]
    ) -> PlainCall[ToolT] | None:
        name = params.get("name")
        arguments = params.get("arguments")
        if type(name) is not str or (arguments is not None and type(arguments) is not dict):
            return None
        has_meta = "_meta" in params
        if len(params) != 1 + ("arguments" in params) + has_meta:
            return None
        found: object = params["_meta"] if has_meta else {}
        if type(found) is not dict:
            return None
        meta = cast("dict[str, Any]", found)
        version = headers.get(b"mcp-protocol-version")
        modern = version == MODERN_BYTES
        if modern and (headers[b"mcp-name"] != name.encode() or not _is_modern_meta(meta)):
            return None
        tool = self._tools.get(name)
        token = meta.get("progressToken")
        if tool is None or "fastmcp" in meta or not _is_token(token, meta):
            return None
        return PlainCall(tool, number, cast("dict[str, Any]", arguments or {}), meta, modern, token)

    def _has_a_form(self, headers: Headers) -> bool:
        """Say whether the headers are those of one of the two forms, for a known tool."""
        version = headers.get(b"mcp-protocol-version")
        if version == MODERN_BYTES:
            return (
                headers.get(b"mcp-method") == b"tools/call"
                and headers.get(b"mcp-name") in self._by_header
            )
        return (version is None or version in _HANDSHAKE) and b"mcp-session-id" not in headers

    def _is_for_this_host(self, headers: Headers) -> bool:
        if b"origin" in headers:
            return False
        host = headers.get(b"host", b"")
        if host in self._hosts:
            return True
        if not self._may_be_named(host.decode("latin-1")):
            return False
        if len(self._hosts) >= _MAX_REMEMBERED:
            self._hosts.clear()
        self._hosts.add(host)
        return True


def _takes_both_answers(headers: Headers) -> bool:
    accept = headers.get(b"accept", b"")
    if accept != b"application/json, text/event-stream":
        media = {kind.split(b";")[0].strip(b" \t").lower() for kind in accept.split(b",")}
        if b"*/*" not in media and not media >= {b"application/json", b"text/event-stream"}:
            return False
    content = headers.get(b"content-type", b"")
    return (
        content == b"application/json"
        or content.split(b";")[0].rstrip(b" \t") == b"application/json"
    )


def _is_modern_meta(meta: dict[str, Any]) -> bool:
    if meta.get(_VERSION) != MODERN_VERSION or meta.get(_CAPABILITIES) != {}:
        return False
    client = meta.get(_CLIENT)
    if client is not None and not _is_plain_client(client):
        return False
    level = meta.get(_LOG_LEVEL)
    return level is None or (type(level) is str and level in _LEVELS)


def _is_token(token: object, meta: dict[str, Any]) -> bool:
    if token is None:
        return "progressToken" not in meta
    return type(token) is int or type(token) is str


def _is_plain_client(client: object) -> bool:
    if type(client) is not dict:
        return False
    said = cast("dict[str, Any]", client)
    if "name" not in said or "version" not in said:
        return False
    return all(name in _KNOWN_CLIENT and type(text) is str for name, text in said.items())


def is_shallow(body: bytes, value: dict[str, Any]) -> bool:
    """Say whether no list or object is inside more than `DEEPEST` others."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return True
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        inside: list[Any] = []
        for one in level:
            items: Iterable[object] = one.values() if type(one) is dict else one
            inside.extend(item for item in items if isinstance(item, dict | list))
        if not inside:
            return True
        level = inside
    return False
