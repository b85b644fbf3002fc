"""What reaches an application behind the header check, and what does not."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from meshd.runtime.request_headers import Header, strict_headers

HOME = (b"host", b"127.0.0.1:8000")


async def sent(headers: list[Header], kind: str = "http") -> tuple[list[Header] | None, list[int]]:
    """Return the headers that the application sees, and the statuses that are answered."""
    seen: list[list[Header]] = []
    statuses: list[int] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["headers"])

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope: dict[str, Any] = {"type": kind, "headers": headers}
    await strict_headers(app)(scope, receive, send)
    return (seen[0] if seen else None), statuses


@pytest.mark.parametrize(
    "host", [b"localhost", b"127.0.0.1", b"127.0.0.1:80", b"[::1]:8000", b"a.b-c.example:65535"]
)
async def test_one_valid_host_passes(host: bytes) -> None:
    assert await sent([(b"host", host), (b"origin", b"null")]) == (
        [(b"host", host), (b"origin", b"null")],
        [],
    )


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"")],
        [(b"host", b"  ")],
        [HOME, HOME],
        [HOME, (b"host", b"evil.example")],
        [(b"host", b"127.0.0.1, evil.example")],
        [(b"host", b"127.0.0.1:80.evil.example")],
        [(b"host", b"evil.example@127.0.0.1")],
        [(b"host", b"127.0.0.1/evil")],
        [(b"host", b"127.0.0.1:")],
        [(b"host", b"127.0.0.1\n")],
        [(b"host", b"\xff")],
        [HOME, (b"origin", b"http://127.0.0.1"), (b"origin", b"http://evil.example")],
    ],
)
async def test_an_ambiguous_request_is_refused(headers: list[Header]) -> None:
    assert await sent(headers) == (None, [400])


async def test_white_space_around_values_is_no_part_of_them() -> None:
    assert await sent([HOME, (b"mcp-name", b" \tadd two \t"), (b"x-empty", b" ")]) == (
        [HOME, (b"mcp-name", b"add two"), (b"x-empty", b"")],
        [],
    )


async def test_what_is_no_request_passes_untouched() -> None:
    assert await sent([], kind="lifespan") == ([], [])
