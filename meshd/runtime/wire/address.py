"""Where a server listens, as a URL says; nothing else than such a URL is accepted."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

_ODD = re.compile(r"[^!-~]")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9.])?\Z")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?\Z")
_PORTS = {"http": 80, "https": 443}


class NotAnAddress(ValueError):
    """The text is no URL of an HTTP server."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server: `origin` names it, `authority` is its `Host`, `path` begins each request's path."""

    scheme: str
    host: str
    port: int
    path: str
    authority: str
    origin: str

    @property
    def is_tls(self) -> bool:
        """Say whether the connection is encrypted."""
        return self.scheme == "https"


def address_of(url: str) -> Address:
    """Read a base URL; a slash at its end does not matter.

    Raises:
        NotAnAddress: it has another scheme, no host, or parts that a base URL has not.

    """
    if _ODD.search(url):
        raise NotAnAddress("the URL has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotAnAddress(str(error)) from None
    if parts.scheme not in _PORTS:
        raise NotAnAddress("the URL is neither http nor https")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise NotAnAddress("the URL has more than host, port and path")
    if not _PATH.match(parts.path):
        raise NotAnAddress("the URL's path has characters that no path has")
    host = _host(parts.hostname or "")
    port = _PORTS[parts.scheme] if port is None else port
    shown = f"[{host.partition('%')[0]}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    origin = f"{parts.scheme}://{host}:{port}"
    return Address(parts.scheme, host, port, parts.path.rstrip("/"), authority, origin)


def _host(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        if not _NAME.match(text):
            raise NotAnAddress("the URL has no host") from None
        return text
    return str(address) if isinstance(address, IPv6Address) else text
