"""Requests that no well-behaved client sends get the same answers as from plain FastMCP."""

import json
from typing import Any

import httpx2
import pytest

from tests.e2e.wire import ACCEPT, ERAS, LEGACY, MODERN, Era, call_request

pytestmark = pytest.mark.conformance
Request = tuple[str, dict[str, str], bytes]
"""Verb, headers, body."""


def call(era: Era, tool: str = "test_simple_text", **changes: Any) -> Request:
    """Return a call; `changes` replace members of the envelope, None removes one."""
    headers, body = call_request(era, tool, {})
    body.update(changes)
    kept = {name: value for name, value in body.items() if value is not None}
    return post(headers, kept)


def post(headers: dict[str, str], body: Any) -> Request:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "POST", {"Content-Type": "application/json", **headers}, text


def without(request: Request, header: str) -> Request:
    verb, headers, body = request
    return verb, {name: value for name, value in headers.items() if name != header}, body


def with_header(request: Request, **changes: str) -> Request:
    verb, headers, body = request
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return verb, {**headers, **named}, body


def requests(era: Era) -> dict[str, Request]:
    plain = call(era)
    return {
        "a call": plain,
        "an id that is text": call(era, id="seven"),
        "an id that is zero": call(era, id=0),
        "an id that is negative": call(era, id=-1),
        "an id that is a fraction": call(era, id=1.5),
        "an id that is a list": call(era, id=[1]),
        "no id": call(era, id=None),
        "no method": call(era, method=None),
        "an unknown method": call(era, method="tools/destroy"),
        "another version of JSON-RPC": call(era, jsonrpc="1.0"),
        "no version of JSON-RPC": call(era, jsonrpc=None),
        "parameters that are a list": call(era, params=[1, 2]),
        "no parameters": call(era, params=None),
        "an unknown tool": call(era, "no_such_tool"),
        "a tool that fails": call(era, "test_error_handling"),
        "an unknown tool with an empty name": call(era, ""),
        "no body": post(plain[1], b""),
        "a body that is no JSON": post(plain[1], b"{"),
        "a body that is no UTF-8": post(plain[1], b'{"a": "\xff"}'),
        "a batch": post(plain[1], [json.loads(plain[2])]),
        "a number": post(plain[1], 7),
        "a body over the limit": post(plain[1], b" " * (5 * 1024 * 1024)),
        "a deep body": post(plain[1], b"[" * 100_000),
        "no content type": without(plain, "Content-Type"),
        "another content type": with_header(plain, Content_Type="text/plain"),
        "no accept": without(plain, "Accept"),
        "accepts JSON only": with_header(plain, Accept="application/json"),
        "accepts anything": with_header(plain, Accept="*/*"),
        "an unknown version": with_header(plain, MCP_Protocol_Version="1999-01-01"),
        "no version header": without(plain, "MCP-Protocol-Version"),
        "the other era's version": with_header(
            plain, MCP_Protocol_Version=LEGACY if era == "modern" else MODERN
        ),
        "another method in the header": with_header(plain, Mcp_Method="tools/list"),
        "another name in the header": with_header(plain, Mcp_Name="test_image_content"),
        "a session nobody has": with_header(plain, Mcp_Session_Id="0" * 32),
        "a get": ("GET", ACCEPT, b""),
        "a delete": ("DELETE", ACCEPT, b""),
        "a put": ("PUT", plain[1], plain[2]),
        "an options": ("OPTIONS", {}, b""),
    }


SECONDS = 10.0
CASES = [(era, name) for era in ERAS for name in requests(era)]


def answer(url: str, request: Request) -> dict[str, Any]:
    """Return what matters of an answer: the status, some headers, and the body as JSON."""
    verb, headers, body = request
    with httpx2.Client(timeout=SECONDS) as client:
        got = client.request(verb, url, headers=headers, content=body)
    kept = {
        name: got.headers.get(name)
        for name in ("content-type", "www-authenticate", "mcp-session-id", "cache-control")
    }
    allowed = sorted(got.headers.get("allow", "").split(", "))  # made from a set
    return {"status": got.status_code, **kept, "allow": allowed, "body": content(got)}


def content(got: httpx2.Response) -> Any:
    """Return the messages of an event stream, a JSON value, or text."""
    kind = got.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        lines = got.text.splitlines()
        return [json.loads(line[5:]) for line in lines if line.startswith("data: {")]
    is_json = kind.startswith("application/json") and got.content
    return got.json() if is_json else got.text


@pytest.mark.parametrize(("era", "name"), CASES, ids=[f"{era}-{name}" for era, name in CASES])
def test_the_answer_is_plain_fastmcps(
    era: Era, name: str, meshd_url: str, fastmcp_url: str
) -> None:
    request = requests(era)[name]
    assert answer(meshd_url, request) == answer(fastmcp_url, request)
