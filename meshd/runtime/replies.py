"""What both ways to answer a call say alike: of chunks, of errors, and of time that is over."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any

import orjson

from meshd.clock import Clock
from meshd.domain.spec import JsonValue
from meshd.errors import CallError, CallTimedOut
from meshd.runtime.protocol import CHUNKS
from meshd.runtime.tool import RunningTool


async def in_time(
    running: RunningTool, call: Coroutine[Any, Any, JsonValue], deadline: float | None, clock: Clock
) -> JsonValue:
    """Return what the call returns; when its deadline (monotonic) passes, it is cancelled.

    Raises:
        CallTimedOut: it was.

    """
    if deadline is None:
        return await call
    left = deadline - clock.monotonic()
    limit = asyncio.timeout(left)
    try:
        if left <= 0:
            raise timed_out(running)
        async with limit:
            return await call
    except TimeoutError as error:
        if isinstance(error, CallError):
            raise
        raise timed_out(running) from None
    finally:
        call.close()


def timed_out(running: RunningTool) -> CallTimedOut:
    """Return the error of a call that was cancelled because its time was over."""
    return CallTimedOut(f"`{running.provider}` was not done in time", provider=running.provider)


def error_fields(error: CallError) -> dict[str, JsonValue]:
    """Return what a caller needs to raise the same error."""
    return {
        "code": error.code,
        "retriable": error.retriable,
        "executed": error.executed,
        "provider": error.provider,
        "attempts": error.attempts,
    }


def json_text(value: JsonValue) -> str:
    """Return compact JSON; what orjson cannot say (integers over 64 bits) takes the slow way."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":"))


def chunk_text(chunk: JsonValue, meta: Mapping[str, Any]) -> str:
    """Return a chunk in the words of its progress notification.

    A caller that is meshd asks for JSON always, so that `"123"` stays a text.
    """
    if isinstance(chunk, str) and not wants_json(meta):
        return chunk
    return json_text(chunk)


def wants_json(meta: Mapping[str, Any]) -> bool:
    """Say whether a request asks for chunks as JSON; then each is marked as such."""
    return meta.get(CHUNKS) == "json"
