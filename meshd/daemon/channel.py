"""A socket between the daemon and one of its processes: sockets and the job first, then messages.

A frame is its length in four bytes, and that many bytes. The process reads its job before it has
an event loop; from then on both sides are on one.
"""

import array
import asyncio
import json
import pickle
import socket
import struct
from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any, cast

from meshd.daemon.messages import Job, Order, Report
from meshd.plan.codec import decode, encode

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct("!I")
_AT_ONCE = 200
"""File descriptors in one message; Linux allows 253."""


class Closed(Exception):
    """The other side has gone."""


def send_sockets(channel: socket.socket, sockets: list[int]) -> None:
    """Hand descriptors over; small messages, which a socket that is new has room for."""
    channel.sendall(_LENGTH.pack(len(sockets)))
    for start in range(0, len(sockets), _AT_ONCE):
        socket.send_fds(channel, [b"f"], sockets[start : start + _AT_ONCE])


def receive_sockets(channel: socket.socket) -> list[socket.socket]:
    """Receive what `send_sockets` sent, on a blocking socket."""
    (count,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    found: list[int] = []
    while len(found) < count:
        size = array.array("i").itemsize
        data, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_AT_ONCE * size))
        if not data:
            raise Closed
        for _, _, content in ancillary:
            received = array.array("i")
            received.frombytes(content[: len(content) - len(content) % size])
            found.extend(received)
    return [socket.socket(fileno=descriptor) for descriptor in found]


def receive_job(channel: socket.socket) -> Job:
    """Receive the job, on a blocking socket."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    # The daemon made it, and nobody else has the other end of this socket.
    return pickle.loads(_exactly(channel, length))  # noqa: S301


def send_report(channel: socket.socket, report: Report) -> None:
    """Send one message, on a blocking socket."""
    channel.sendall(_frame(_json(Report, report)))


class _Channel:
    """One end on an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def close(self) -> None:
        """End the conversation."""
        self._writer.close()

    async def _send(self, data: bytes) -> None:
        try:
            self._writer.write(_frame(data))
            await self._writer.drain()
        except (ConnectionError, OSError) as error:
            raise Closed from error

    async def _receive(self) -> bytes:
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise Closed
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            raise Closed from error


class DaemonEnd(_Channel):
    """The end that gives orders; every method raises `Closed` when the process has gone."""

    async def give(self, job: Job) -> None:
        """Send the job."""
        await self._send(pickled(job))

    async def order(self, order: Order) -> None:
        """Send an order."""
        await self._send(_json(Order, order))

    async def report(self) -> Report:
        """Receive the next message; what cannot be read ends the conversation."""
        return _decoded(Report, await self._receive())


class ProcessEnd(_Channel):
    """The end that obeys; every method raises `Closed` when the daemon has gone."""

    async def order(self) -> Order:
        """Receive the next order."""
        return _decoded(Order, await self._receive())

    async def report(self, report: Report) -> None:
        """Send one message."""
        await self._send(_json(Report, report))


async def daemon_end(channel: socket.socket) -> DaemonEnd:
    """Put the daemon's end on the event loop."""
    return DaemonEnd(*await _streams(channel))


async def process_end(channel: socket.socket) -> ProcessEnd:
    """Put the process's end on the event loop."""
    return ProcessEnd(*await _streams(channel))


async def _streams(channel: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    channel.setblocking(False)
    return await asyncio.open_unix_connection(sock=channel)


class _Pickler(pickle.Pickler):
    """Also writes the read-only mappings that specs use for their defaults."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(cast("Mapping[Any, Any]", value)),)
        return NotImplemented


def _read_only(values: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(values)


def pickled(value: object) -> bytes:
    """Return the value pickled, with read-only mappings as such."""
    data = BytesIO()
    _Pickler(data, pickle.HIGHEST_PROTOCOL).dump(value)
    return data.getvalue()


def _json(kind: Any, message: Any) -> bytes:
    # Python's own JSON, which writes every text that Python has, lone surrogates too.
    return json.dumps(encode(kind, message)).encode()


def _decoded(kind: Any, data: bytes) -> Any:
    try:
        return decode(kind, json.loads(data))
    except ValueError as error:
        raise Closed from error


def _frame(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(count - len(data))
        if not piece:
            raise Closed
        data += piece
    return bytes(data)
