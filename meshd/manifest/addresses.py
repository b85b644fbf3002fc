"""Addresses in manifests: hosts to listen on, what others are told, and where a registry is.

Each check returns why a text is no such address, or None. No reason shows the text: what an
interpolation supplied may be a secret, and the place that is marked shows what is written.
"""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

MAX_PORT = 65535

_NAME = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_NUMBERS = re.compile(r"[0-9.]+")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)


def host_problem(text: str) -> str | None:
    """Say why this is no host to listen on: a name, or an address without brackets."""
    if not text:
        return "it is empty"
    if text.startswith("["):
        return "an IPv6 address stands here without brackets"
    if _is_address(text):
        return None
    if ":" in text:
        return "it is no IPv6 address, and the port has a field of its own"
    if _NUMBERS.fullmatch(text):
        return "an IPv4 address has four numbers up to 255"
    if len(text) > 253 or not _NAME.fullmatch(text):
        return "it is neither an address nor a name of a host"
    return None


def advertised_problem(text: str) -> str | None:
    """Say why this is neither a host nor `host:port`."""
    if "://" in text or "/" in text:
        return "a host, or `host:port`, without scheme and path"
    if ":" in text and _is_address(text):
        return None
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        return "an IPv6 address is written as `[::1]` or `[::1]:8080`"
    host, port = match["host"], match["port"]
    if host.startswith("["):
        if not _is_address(host[1:-1]) or ":" not in host:
            return "in brackets stands an IPv6 address"
    elif problem := host_problem(host):
        return problem
    return None if port is None else _port_problem(port)


def registry_problem(text: str) -> str | None:
    """Say why this is not the address of a registry: scheme, host and port, and no more."""
    if any(c.isspace() or not c.isprintable() for c in text):
        return "it holds a space or a control character"  # which `urlsplit` would remove
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return "it is no URL"
    if parts.scheme not in {"http", "https"}:
        return "it begins with neither `http://` nor `https://`"
    if "@" in parts.netloc:
        return "a user or password may not stand in it"
    if parts.path not in {"", "/"} or parts.query or parts.fragment or text[-1] in "?#":
        return "nothing may follow host and port"
    if problem := host_problem(host):
        return problem
    _, colon, port = parts.netloc.rpartition("]")[2].partition(":")
    return _port_problem(port) if colon else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _port_problem(text: str) -> str | None:
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) <= MAX_PORT:
        return None
    return f"a port is a number from 1 to {MAX_PORT}"
