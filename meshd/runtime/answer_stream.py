"""Messages of JSON-RPC out of an event stream, as they come: progress, chunks and the answer.

A meshd agent that was asked for chunks as JSON marks each notification that carries one; without
the mark a chunk is text. That way both sides need not know each other's release.
"""

from collections import deque
from typing import Any, cast

from meshd.domain.spec import JsonValue
from meshd.errors import ConnectionLost, ResultRejected
from meshd.runtime.event_stream import EventReader
from meshd.runtime.exact_json import loaded
from meshd.runtime.protocol import CHUNK
from meshd.runtime.tool_answer import parsed
from meshd.runtime.wire.exchange import Exchange


class AnswerStream:
    """The answer to the call of a number, with what comes before it.

    `max_bytes` bounds each message, not all of them.
    """

    def __init__(self, exchange: Exchange, number: int, provider: str, max_bytes: int) -> None:
        self._exchange = exchange
        self._number = number
        self._provider = provider
        self._max_bytes = max_bytes
        self._reader = EventReader()
        self._events: deque[bytes] = deque()

    async def next_message(self) -> dict[str, Any]:
        """Return the next progress notification, or the answer.

        Raises:
            ConnectionLost: the stream ended without an answer.
            ResultRejected: a message is too large.
            CallError: what came is not MCP.
            WireFailure: the connection broke.

        """
        while True:
            while self._events:
                event = self._events.popleft()
                self._require_bearable(len(event))
                message = parsed(event, self._exchange.status, self._provider)
                if is_progress(message) or self._is_answer(message):
                    return message
            data = await self._exchange.read()
            if not data:
                reason = "the stream ended without an answer; the tool may have run"
                raise ConnectionLost(reason, provider=self._provider)
            self._events.extend(self._reader.feed(data))
            self._require_bearable(self._reader.held_bytes)

    def _is_answer(self, message: dict[str, Any]) -> bool:
        if "method" in message:
            return False
        found = message.get("id")
        return found == self._number or ("error" in message and found is None)

    def _require_bearable(self, size: int) -> None:
        if size > self._max_bytes:
            reason = f"the answer has more than {self._max_bytes} bytes"
            raise ResultRejected(reason, provider=self._provider)


def is_progress(message: dict[str, Any]) -> bool:
    """Say whether a message tells of progress."""
    return message.get("method") == "notifications/progress"


def progress_text(message: dict[str, Any]) -> str | None:
    """Return what a progress notification says, or None."""
    params = message.get("params")
    text = cast("dict[str, Any]", params).get("message") if isinstance(params, dict) else None
    return text if isinstance(text, str) else None


def chunk_of(message: dict[str, Any], text: str, provider: str) -> JsonValue:
    """Return the chunk that is the text of a progress notification.

    Raises:
        ResultRejected: it is said to be JSON, and is not.

    """
    meta = message["params"].get("_meta")
    if not isinstance(meta, dict) or cast("dict[str, Any]", meta).get(CHUNK) != "json":
        return text
    try:
        return loaded(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        reason = f"a chunk is no JSON, though it is said to be: {error}"
        raise ResultRejected(reason, provider=provider) from None
