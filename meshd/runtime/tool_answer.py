"""What a server answers to `tools/call`: from bytes to the tool's value, or to a typed error."""

import json
from typing import Any, Literal, cast

from meshd.domain.spec import JsonValue
from meshd.errors import CallError, ToolFailed

Form = Literal["stateless", "older"]
"""How the server is spoken to: as the 2026-07-28 revision says, or as those before it."""

_SHOWN = 200


def parsed(content: bytes, status: int, provider: str) -> dict[str, Any]:
    """Return a message of JSON-RPC.

    Raises:
        CallError: it is none.

    """
    message = json_object(content)
    if message is None or not message.keys() & {"result", "error", "method"}:
        text = content[:_SHOWN].decode(errors="replace").strip()
        said = f": {text}" if text else ""
        raise CallError(f"HTTP {status} instead of an MCP answer{said}", provider=provider)
    return message


def json_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None if it is something else."""
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def refuses_the_version(content: bytes) -> bool:
    """Say whether the body of a 400 refuses the protocol version, so that nothing was executed.

    The revisions before 2026-07-28 have no code of their own for it, so the text has to do.
    """
    return b"protocol version" in content[:4096].lower()


def value_of(answer: dict[str, Any], form: Form, provider: str) -> JsonValue:
    """Return the tool's value.

    Raises:
        ToolFailed: the tool answered an error.
        CallError: the server did, or it answered no result.

    """
    if "error" in answer:
        raise CallError(_protocol_error(answer["error"]), provider=provider)
    found = answer.get("result")
    result = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    content = result.get("content", []) if isinstance(found, dict) else None
    if not isinstance(content, list):
        raise CallError("the answer has no result of a tool", provider=provider)
    blocks = cast("list[JsonValue]", content)
    if result.get("isError"):
        text = "\n".join(filter(None, map(_text, blocks)))
        raise ToolFailed(text or "the tool failed without a word", provider=provider)
    structured = result.get("structuredContent")
    if structured is None:
        return _plain(blocks) if form == "older" else blocks
    return _unwrapped(structured, result.get("_meta"))


def _unwrapped(structured: JsonValue, meta: object) -> JsonValue:
    """Take the value out of the wrapper that FastMCP marks; an object of that shape stays."""
    marks = cast("dict[str, Any]", meta).get("fastmcp") if isinstance(meta, dict) else None
    wrapped = isinstance(marks, dict) and cast("dict[str, Any]", marks).get("wrap_result")
    if not wrapped or not isinstance(structured, dict):
        return structured
    fields = cast("dict[str, JsonValue]", structured)
    return fields.get("result", fields)


def _plain(blocks: list[JsonValue]) -> JsonValue:
    """Return what MCP Mesh's agents mean by content alone: nothing, JSON, or text."""
    if not blocks:
        return None
    text = _text(blocks[0])
    if len(blocks) > 1 or text is None:
        return blocks
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(block: JsonValue) -> str | None:
    if not isinstance(block, dict):
        return None
    text = cast("dict[str, JsonValue]", block).get("text")
    return text if isinstance(text, str) else None


def _protocol_error(error: object) -> str:
    if not isinstance(error, dict):
        return f"the server answered an error: {error!s:.200}"
    fields = cast("dict[str, Any]", error)
    return f"{fields.get('message', 'the server answered an error')} [{fields.get('code')}]"
