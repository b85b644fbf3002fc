"""One request that was written, and what has come of its answer.

An answer is collected whole, but for an event stream, which is read as it comes: while nobody reads
it, the socket is not read either, and so the server waits.
"""

import asyncio
from typing import Protocol

from meshd.runtime.wire.failures import TooLarge, WireFailure

READ_AHEAD_BYTES = 64 * 1024
"""How much of an event stream is kept for its reader before the socket is read no more."""
DRAIN_SECONDS = 1.0
"""How long the end of an answer is awaited that nobody needs, so that its connection can go on."""

EVENT_STREAM = b"text/event-stream"


class Line(Protocol):
    """The connection, as its requests see it."""

    loop: asyncio.AbstractEventLoop

    def leave(self, exchange: "Exchange") -> None:
        """Close the connection if it is still busy with this request."""
        ...

    def wants_more(self, exchange: "Exchange") -> None:
        """Read on if reading this answer has paused."""
        ...

    def narrow(self, exchange: "Exchange") -> None:
        """Bound what the system keeps of an answer."""
        ...


class Exchange:
    """One request and what has come of its answer."""

    __slots__ = (
        "_arrived",
        "_complete",
        "_connection",
        "_deadline",
        "_failure",
        "_max_bytes",
        "_parts",
        "_size",
        "_unread",
        "_waiting",
        "body",
        "content_type",
        "encoding",
        "is_stream",
        "status",
    )

    def __init__(self, connection: Line, max_bytes: int) -> None:
        self.status = 0
        self.content_type = b""
        self.encoding = b""
        self.is_stream = False
        self.body = b""
        self._connection = connection
        self._max_bytes = max_bytes
        self._arrived: asyncio.Future[None] = connection.loop.create_future()
        self._waiting: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._failure: WireFailure | None = None
        self._complete = False
        self._unread = True
        self._parts: list[bytes] = []
        self._size = 0

    async def arrive(self) -> None:
        """Wait for the whole answer, or for the headers of an event stream.

        Raises:
            NotSent: the connection was dead before the request was written.
            WireFailure: there is no answer that can be used.

        """
        try:
            await self._arrived
        except BaseException:
            self.abandon()
            raise
        if self._failure is not None and not self.is_stream:
            raise self._failure

    async def read(self) -> bytes:
        """Return what has come of an event stream since, or wait for more; empty at its end.

        Raises:
            Broken: the stream broke off.

        """
        while not self._parts:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return b""
            self._waiting = self._connection.loop.create_future()
            await self._waiting
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._connection.wants_more(self)
        return data

    def abandon(self) -> None:
        """Close the connection unless the answer is complete: so the server learns of it."""
        self._connection.leave(self)

    def release(self) -> None:
        """Need nothing more of an answer; its connection goes on if the rest comes soon."""
        if self._complete or self._failure is not None:
            return
        self._unread = False
        self._parts.clear()
        self._size = 0
        self._connection.wants_more(self)
        self._deadline = self._connection.loop.call_later(DRAIN_SECONDS, self.abandon)

    def narrow(self) -> None:
        """Let the system, too, keep little of what is not read yet; the connection ends with it."""
        self._connection.narrow(self)

    def take(self, data: bytes) -> bool:
        """Add a part of the body; say whether it is enough for now."""
        if not self._unread:
            return False
        self._parts.append(data)
        self._size += len(data)
        if self.is_stream:
            self._wake()
            return self._size > READ_AHEAD_BYTES
        if self._size > self._max_bytes:
            self.end(TooLarge(f"the answer has more than {self._max_bytes} bytes"))
        return False

    def begin(self) -> None:
        """Note that the headers are complete."""
        kind = self.content_type.partition(b";")[0].strip().lower()
        if kind == EVENT_STREAM and self.status < 300:
            self.is_stream = True
            self._wake()

    def end(self, failure: WireFailure | None = None) -> None:
        """Note that nothing more comes."""
        if self._complete or self._failure is not None:
            return
        self._failure = failure
        self._complete = failure is None
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.is_stream:
            parts = self._parts
            self.body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
        self._wake()

    @property
    def has_failed(self) -> bool:
        """Say whether the answer cannot be used."""
        return self._failure is not None

    def _wake(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(None)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
