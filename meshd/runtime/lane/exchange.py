"""One plain call that waits: its client watched, its deadline kept, its chunks sent as they come.

A call that ends without ever waiting needs none of this. One that waits is given up when its time
is over, and after a moment its client is watched: who goes away cancels the call. After a silence
the answer becomes a stream of events with pings, as FastMCP's does, and with the first chunk.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar, cast

from starlette.types import Receive, Send

WATCH_SECONDS = 0.05
"""After this time a call is worth a task that watches its client."""
PING_SECONDS = 15.0
"""Silence after which a ping is sent, as FastMCP does."""

_PING = b": ping\r\n\r\n"
EVENTS = [
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),
]

T = TypeVar("T")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class OutOfTime(Exception):
    """The call's time is over."""


class Exchange:
    """The client's side of one call."""

    __slots__ = (
        "_deadline_timer",
        "_ended_by",
        "_is_event_stream",
        "_last_sent",
        "_lock",
        "_loop",
        "_ping_timer",
        "_pinging",
        "_receive",
        "_seconds_left",
        "_send",
        "_task",
        "_watch_timer",
        "_watcher",
        "streams",
    )

    def __init__(
        self, receive: Receive, send: Send, seconds_left: float | None, *, is_event_stream: bool
    ) -> None:
        """Serve a call; `is_event_stream` says that the answer is a stream in any case."""
        self._is_event_stream = is_event_stream
        self._receive = receive
        self._send = send
        self._seconds_left = seconds_left
        self._ended_by: type[Exception] | None = None
        self._lock: asyncio.Lock | None = None
        self._watcher: asyncio.Future[None] | None = None
        self._pinging: asyncio.Future[None] | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self.streams = False
        """Whether the answer has begun as a stream of events."""

    async def outcome(self, call: Coroutine[Any, Any, T], awaited: object) -> T:
        """Return what a call returns, or raise what it raises, from where it waits first.

        Raises:
            ClientGone: the client left; the call was cancelled.
            OutOfTime: the time was over; the call was cancelled.

        """
        self._attend()
        try:
            return await continued(call, awaited)
        except asyncio.CancelledError:
            # Somebody else may have cancelled it at the same moment: then that holds.
            if self._ended_by is not None and self._task.cancelling() == 1:
                raise self._ended_by from None
            raise
        finally:
            self._leave()
            if self._ended_by is not None:
                self._task.uncancel()

    async def send_event(self, message: bytes) -> None:
        """Send one event; the stream begins with the first. Waits for a slow client."""
        async with self._turn():
            await self._begin_stream()
            await self._send({"type": "http.response.body", "body": message, "more_body": True})
        self._last_sent = asyncio.get_running_loop().time()
        # A turn for others: chunks may come without ever waiting for anything.
        await asyncio.sleep(0)  # noqa: TID251  (a turn, not a time)

    async def _begin_stream(self) -> None:
        if not self.streams:
            await self._send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            self.streams = True

    def _turn(self) -> asyncio.Lock:
        """Chunks and pings are sent one after the other; most calls send neither."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def _attend(self) -> None:
        """Begin to care for a call that waits."""
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._loop = loop = asyncio.get_running_loop()
        self._last_sent = loop.time()
        self._watch_timer = loop.call_later(WATCH_SECONDS, self._watch)
        self._deadline_timer = (
            None
            if self._seconds_left is None
            else loop.call_later(self._seconds_left, self._end, OutOfTime)
        )

    def _leave(self) -> None:
        self._watch_timer.cancel()
        for one in (self._deadline_timer, self._ping_timer, self._watcher, self._pinging):
            if one is not None:
                one.cancel()

    def _end(self, reason: type[Exception]) -> None:
        if self._ended_by is None:
            self._ended_by = reason
            self._task.cancel()

    def _watch(self) -> None:
        self._ping_timer = self._loop.call_later(PING_SECONDS - WATCH_SECONDS, self._ping)
        # Owned by the exchange: it ends with the call.
        self._watcher = asyncio.ensure_future(self._watch_client())

    async def _watch_client(self) -> None:
        if self._is_event_stream:
            async with self._turn():
                await self._begin_stream()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(ClientGone)

    def _ping(self) -> None:
        silence = self._loop.time() - self._last_sent
        wait = PING_SECONDS - silence
        if wait <= 0:
            # A client that has not taken the last ping gets no further one.
            if self._pinging is None or self._pinging.done():
                self._pinging = asyncio.ensure_future(self.send_event(_PING))
            wait = PING_SECONDS
        self._ping_timer = self._loop.call_later(wait, self._ping)


@types.coroutine
def continued(call: Coroutine[Any, Any, T], awaited: object) -> Generator[Any, Any, T]:
    """Await the rest of a call that was begun with `send`, and waits for what that returned."""
    try:
        while True:
            try:
                given = yield awaited
            except GeneratorExit:
                call.close()
                raise
            # Whatever is thrown at the task is the call's to see first.
            except BaseException as error:  # noqa: BLE001
                awaited = call.throw(error)
            else:
                awaited = call.send(given)
    except StopIteration as end:
        return end.value
