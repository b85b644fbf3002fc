"""Writes the head of an HTTP answer together with its body: one packet, and one call of the system.

uvicorn writes each at once. ASGI asks servers to wait for the body; so this does, where it is
certain that one comes.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

MAX_JOINED_BYTES = 65_536
"""Larger bodies are not copied."""


class Cycle(Protocol):
    """What uvicorn knows of the answer to one request."""

    response_started: bool
    chunked_encoding: bool | None
    expected_content_length: int

    @property
    def scope(self) -> Mapping[str, Any]:
        """Return the request."""
        ...


class JoinedWrites:
    """Stands before the transport of one connection, for one answer after the other."""

    __slots__ = ("_begun", "_head", "_transport", "cycle")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._begun: Cycle | None = None
        self.cycle: Cycle | None = None
        """The answer that is being written, or a later one of which nothing is written yet."""

    def write(self, data: bytes) -> None:
        """Write what comes, or keep it until the rest comes if it is a head."""
        head = self._head
        if head:
            self._head = b""
            if len(data) > MAX_JOINED_BYTES:
                self._transport.write(head)
            else:
                data = head + data
        elif self._is_head():
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection, when all is written."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()

    def is_closing(self) -> bool:
        """Say whether the connection is closed or is going to be."""
        return self._transport.is_closing()

    def _is_head(self) -> bool:
        """Say whether what comes now is a head that a body follows."""
        cycle = self.cycle
        # "100 Continue" comes before an answer has started.
        if cycle is None or cycle is self._begun or not cycle.response_started:
            return False
        self._begun = cycle
        return (
            cycle.chunked_encoding is False
            and cycle.expected_content_length > 0
            and cycle.scope["method"] != "HEAD"
        )
