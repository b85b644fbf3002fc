"""Request headers as HTTP says they are, before anything else reads them.

Goes in: an ASGI application. Comes out: one that never sees a request without exactly one valid
Host, or with several Origins (a check that reads the first and a reader that takes the last would
disagree), nor white space around a header's value (httptools keeps what stands at the end).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

Header = tuple[bytes, bytes]

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BAD_REQUEST = b"Bad Request: a request has exactly one valid Host, and at most one Origin"


def strict_headers(app: ASGIApp) -> ASGIApp:
    """Return the application behind the check; what fails it is answered with 400."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = trimmed(scope["headers"])
            if not has_one_host(headers):
                await _refuse(send)
                return
            scope["headers"] = headers
        await app(scope, receive, send)

    return checked


def trimmed(headers: Iterable[Header]) -> list[Header]:
    """Return the headers without the white space around their values."""
    return [(name, value.strip(b" \t")) for name, value in headers]


def has_one_host(headers: Iterable[Header]) -> bool:
    """Say whether there is exactly one valid Host and at most one Origin."""
    hosts = 0
    origins = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not is_host(value):
                return False
        elif name == b"origin":
            origins += 1
    return hosts == 1 and origins <= 1


@lru_cache(maxsize=64)
def is_host(value: bytes) -> bool:
    """Say whether this is a host; a server hears the same few again and again."""
    return _HOST.fullmatch(value) is not None


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_BAD_REQUEST)).encode()),
    ]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": _BAD_REQUEST})
