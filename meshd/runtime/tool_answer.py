"""What a server answers to `tools/call`: from bytes to the tool's value, or to a typed error."""

from collections.abc import Mapping
from typing import Any, Literal, cast

from meshd.domain.spec import JsonValue
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
from meshd.runtime.exact_json import loaded
from meshd.runtime.protocol import ERROR

Form = Literal["stateless", "older"]
"""How the server is spoken to: as the 2026-07-28 revision says, or as those before it."""

_KINDS: Mapping[str, type[CallError]] = {
    kind.code: kind
    for kind in (
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
    )
}
_SHOWN = 200


def parsed(content: bytes, status: int, provider: str) -> dict[str, Any]:
    """Return a message of JSON-RPC.

    Raises:
        CallError: it is none.

    """
    message = json_object(content)
    if message is None or not ("result" in message or "error" in message or "method" in message):
        text = content[:_SHOWN].decode(errors="replace").strip()
        said = f": {text}" if text else ""
        raise CallError(f"HTTP {status} instead of an MCP answer{said}", provider=provider)
    return message


def json_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None if it is something else."""
    try:
        found: object = loaded(content)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def refuses_the_version(content: bytes) -> bool:
    """Say whether the body of a 400 refuses the protocol version, so that nothing was executed.

    The revisions before 2026-07-28 have no code of their own for it, so the text has to do.
    """
    return b"protocol version" in content[:4096].lower()


def refusal(status: int, content: bytes, provider: str) -> CallError | None:
    """Return the error that an HTTP status means by itself, or that a meshd agent sent with it."""
    if status < 400:
        return None
    answer = json_object(content) or {}
    text = _protocol_error(answer["error"]) if "error" in answer else f"HTTP {status}"
    data = _object(_object(answer.get("error")).get("data"))
    typed = _typed(data, text, provider)
    if typed is not None:
        return typed
    if status in {401, 403}:
        reason = f"the provider does not accept the caller's token, or wants one: {text}"
        return Unauthorised(reason, provider=provider)
    if status in {429, 503}:
        return Busy(f"the provider does not take the call now: {text}", provider=provider)
    if status == 413:
        return ArgumentsRejected(f"the provider takes no such size: {text}", provider=provider)
    return None


def value_of(answer: dict[str, Any], form: Form, provider: str) -> JsonValue:
    """Return the tool's value.

    Raises:
        ToolFailed: the tool answered an error.
        InputRequired: it asks for input.
        TaskStarted: it answers later.
        CallError: the server answered an error, of the kind that it says, or no result.

    """
    if "error" in answer:
        text = _protocol_error(answer["error"])
        data = _object(_object(answer["error"]).get("data"))
        raise _typed(data, text, provider) or CallError(text, provider=provider)
    found = answer.get("result")
    result = _object(found)
    kind = result.get("resultType")
    if kind is not None and kind != "complete":
        raise _unfinished(result, provider)
    content = result.get("content", []) if isinstance(found, dict) else None
    if not isinstance(content, list):
        raise CallError("the answer has no result of a tool", provider=provider)
    blocks = cast("list[JsonValue]", content)
    if result.get("isError"):
        text = "\n".join(filter(None, map(_text, blocks))) or "the tool failed without a word"
        meta = _object(result.get("_meta"))
        raise _typed(meta, text, provider) or ToolFailed(text, provider=provider)
    structured = result.get("structuredContent")
    if structured is None:
        if "task" in result:
            raise _unfinished(result, provider)
        return _plain(blocks) if form == "older" else blocks
    return _unwrapped(structured, result.get("_meta"))


def _unfinished(result: dict[str, Any], provider: str) -> CallError:
    """Return the error that stands for an answer which is not the tool's value."""
    kind = result.get("resultType", "task")
    if kind == "input_required":
        state = result.get("requestState")
        return InputRequired(
            "the tool asks for input, which only a client can give",
            provider=provider,
            requests=_object(result.get("inputRequests")),
            state=state if isinstance(state, str) else None,
        )
    if kind == "task":
        task = _object(result.get("task")) or {
            name: value for name, value in result.items() if name not in {"resultType", "_meta"}
        }
        return TaskStarted("the tool answers later, as a task", provider=provider, task=task)
    return ResultRejected(f"the answer is of the unknown kind {kind!a:.100}", provider=provider)


def _typed(meta: dict[str, Any], text: str, provider: str) -> CallError | None:
    """Return the error that a meshd agent says it is; None if it says nothing that is known."""
    said = _object(meta.get(ERROR))
    code = said.get("code")
    kind = _KINDS.get(code) if isinstance(code, str) else None
    if kind is None:
        return None
    where, attempts = said.get("provider"), said.get("attempts")
    error = kind(
        text,
        provider=where if isinstance(where, str) and where else provider,
        attempts=attempts if type(attempts) is int and attempts >= 0 else 1,
    )
    error.retriable = said.get("retriable", kind.retriable) is True
    error.executed = said.get("executed", kind.executed) is not False
    return error


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
        return loaded(text.encode("utf-8", "surrogatepass"))
    except ValueError:
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


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
