"""One connection: a request is written, its answer is read, one after the other.

What a server may cost is bounded: the size of an answer, and the bytes that bring none of it
(headers, trailers, chunk extensions, interim answers).
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import cast

import httptools

from meshd.runtime.wire.exchange import READ_AHEAD_BYTES, Exchange
from meshd.runtime.wire.failures import Broken, NotSent, WireFailure, words

MAX_OVERHEAD_BYTES = 64 * 1024
"""How much may come, one after the other, that is no part of an answer's body."""
SURELY_ONE_WRITE_BYTES = 16 * 1024


class Connection(asyncio.Protocol):
    """A socket that is connected; `on_free` is told when it can carry the next request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_free: "Callable[[Connection], None]",
        on_lost: "Callable[[Connection], None]",
    ) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self.is_lost = False
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._pending: select.poll | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._sent = 0
        self._was_refused = False
        self._answered = False
        self._overhead = 0
        self._is_complete = False
        self._keeps_alive = False
        self._has_length = False
        self._until_end = False
        self._is_paused = False
        self._is_narrow = False
        self._surplus = False

    def ask(self, request: bytes, max_bytes: int) -> Exchange:
        """Write a request; the answer comes to what is returned."""
        exchange = self._exchange = Exchange(self, max_bytes)
        self._sent = len(request)
        self._answered = self._is_complete = self._surplus = self._until_end = False
        self._overhead = 0
        self._transport.write(request)
        self._was_refused = self._transport.is_closing()
        return exchange

    def is_alive(self) -> bool:
        """Say whether an idle connection can be written to, even if its end is not noticed yet."""
        if self.is_lost or self._transport.is_closing():
            return False
        return self._pending is not None and not self._pending.poll(0)

    def abort(self) -> None:
        """Close the connection now."""
        self._transport.abort()

    def leave(self, exchange: Exchange) -> None:
        """Close the connection if it is still busy with this request."""
        if self._exchange is exchange:
            self._exchange = None
            exchange.end(Broken("the request was given up"))
            self.abort()

    def wants_more(self, exchange: Exchange) -> None:
        """Read on if reading this answer has paused."""
        if self._is_paused and self._exchange is exchange:
            self._resume()

    def narrow(self, exchange: Exchange) -> None:
        """Bound what the system keeps of an answer; what was set so cannot be taken back."""
        if self._exchange is exchange:
            self._is_narrow = True
            found: socket.socket = self._transport.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_AHEAD_BYTES)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        is_tls = transport.get_extra_info("ssl_object") is not None
        self._pending = select.poll()
        # TLS has things to say while nothing is asked, so only an end counts there.
        events = select.POLLRDHUP if is_tls else select.POLLIN | select.POLLRDHUP
        found: socket.socket = transport.get_extra_info("socket")
        self._pending.register(found.fileno(), events)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self.is_lost = True
        self._parser = cast("httptools.HttpResponseParser", None)  # it holds on to its protocol
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(self._failure(exc))
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Read (asyncio)."""
        exchange = self._exchange
        if exchange is None:
            # Nothing was asked: it must not be taken for the answer to what is asked next.
            self.abort()
            return
        self._answered = True
        self._overhead += len(data)
        problem: WireFailure | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            problem = Broken("the server wants another protocol")
        except httptools.HttpParserError as error:
            problem = Broken(f"what came is not HTTP: {words(error)}")
        if self._is_complete:
            self._finish(exchange, is_clean=problem is None)
            return
        if problem is None and self._overhead > MAX_OVERHEAD_BYTES:
            problem = Broken(f"more than {MAX_OVERHEAD_BYTES} bytes of headers came")
        if problem is not None:
            exchange.end(problem)
        if exchange.has_failed:
            self._exchange = None
            self.abort()

    def on_message_begin(self) -> None:
        """Begin an answer (httptools)."""
        self._surplus = self._is_complete
        if self._exchange is not None and not self._surplus:
            self._has_length = self._until_end = False
            self._exchange.content_type = self._exchange.encoding = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header (httptools)."""
        exchange = self._exchange
        if exchange is None or self._surplus:
            return
        name = name.lower()
        if name == b"content-type":
            exchange.content_type = value
        elif name == b"content-encoding":
            exchange.encoding = value
        elif name == b"content-length":
            self._has_length = True
        elif name == b"transfer-encoding":
            self._has_length = True
            if value.strip().lower() != b"chunked":
                exchange.end(Broken("the answer has an encoding that was not asked for"))

    def on_headers_complete(self) -> None:
        """Note that the headers are complete (httptools)."""
        status = self._parser.get_status_code()
        if status < 200 or self._surplus or self._exchange is None:
            return
        self._exchange.status = status
        self._until_end = not self._has_length
        self._exchange.begin()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body (httptools)."""
        exchange = self._exchange
        if exchange is None or self._surplus:
            return
        self._overhead = 0
        if exchange.take(body) and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End an answer, if it is not an interim one (httptools)."""
        if self._parser.get_status_code() >= 200 and not self._surplus:
            self._is_complete = True
            self._keeps_alive = self._parser.should_keep_alive()

    def _finish(self, exchange: Exchange, *, is_clean: bool) -> None:
        self._exchange = None
        exchange.end()
        # What is not written yet would be taken for the beginning of the next request.
        is_written = not self._transport.get_write_buffer_size()
        may_go_on = self._keeps_alive and not self._is_narrow and not self._surplus
        if is_clean and is_written and may_go_on:
            if self._is_paused:
                self._resume()
            self._on_free(self)
        else:
            self.abort()

    def _resume(self) -> None:
        self._is_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _failure(self, error: Exception | None) -> WireFailure | None:
        """Return what the end of the connection means for the request under way."""
        if self._answered:
            if self._until_end and error is None:
                return None
            return Broken(f"it ended within the answer{_because(error)}")
        is_unwritten = self._was_refused or isinstance(error, BrokenPipeError)
        if is_unwritten and self._sent <= SURELY_ONE_WRITE_BYTES:
            # Only writing fails so, and so little is written at once or not at all.
            return NotSent("it was closed before the request was written")
        return Broken(f"it was closed without an answer{_because(error)}")


def _because(error: Exception | None) -> str:
    return "" if error is None else f": {words(error)}"
