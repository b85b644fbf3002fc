"""A POST as bytes. No text that is put into it can begin a further header, or a further request."""

import re
from collections.abc import Mapping
from functools import lru_cache

from meshd.runtime.wire.address import Address

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*\Z")

FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a message ends and whom it is for: nobody else may set them."""


class NotAHeader(ValueError):
    """A name or value cannot be sent as a header."""


def start_of(address: Address, path: str, headers: Mapping[str, str]) -> bytes:
    """Return the part of a POST that is the same each time: first line, `Host` and these headers.

    Raises:
        NotAHeader: a header, or the path, cannot be sent.

    """
    whole = address.path + path
    if not _PATH.match(whole):
        raise NotAHeader("the path has characters that no path has")
    first = f"POST {whole} HTTP/1.1\r\nHost: {address.authority}\r\n"
    return first.encode("ascii") + lines_of(headers)


def lines_of(headers: Mapping[str, str]) -> bytes:
    """Return headers as they are sent.

    Raises:
        NotAHeader: a name or value cannot be sent.

    """
    text = ""
    for name, value in headers.items():
        if _NO_VALUE.search(value):
            raise NotAHeader(f"the value of header `{name}` has characters that no header has")
        text += f"{_sendable_name(name)}: {value.strip()}\r\n"
    return text.encode("latin-1")


def post(start: bytes, headers: bytes, body: bytes) -> bytes:
    """Return a whole request."""
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (start, headers, len(body), body)


@lru_cache(maxsize=512)
def _sendable_name(name: str) -> str:
    if not _TOKEN.match(name):
        raise NotAHeader(f"`{name!a:.100}` is not a header's name")
    if name.lower() in FRAMING:
        raise NotAHeader(f"header `{name}` belongs to the connection")
    return name
