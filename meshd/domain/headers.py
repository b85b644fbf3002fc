"""Which HTTP headers a manifest may set or hand on: none that HTTP, MCP or meshd itself writes.

Names are compared without case (https://www.rfc-editor.org/rfc/rfc9110#section-5.1).
"""

import re

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_OWN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-mesh-timeout",
    }
)
_OWN_BEGINNINGS = ("content-", "mcp-", "meshd-", "proxy-", "x-forwarded-")
_TRACE = frozenset({"traceparent", "tracestate", "baggage"})
_SECRET = frozenset({"authorization", "cookie", "set-cookie"})


def header_problem(name: str) -> str | None:
    """Return why a header of this name may be neither set nor handed on, or None."""
    if not _TOKEN.fullmatch(name):
        return "a header's name has letters, digits and `-` only"
    lower = name.lower()
    if lower in _OWN or lower.startswith(_OWN_BEGINNINGS):
        return "meshd writes this header itself"
    if lower in _TRACE:
        return "the trace context is always handed on"
    if lower in _SECRET:
        return "tokens are never passed on; say `call.auth` instead"
    return None


def header_value_problem(value: str) -> str | None:
    """Return why no header can have this value, or None."""
    if any(not (" " <= character <= "~" or character == "\t") for character in value):
        return "a header holds printable ASCII only"
    if value != value.strip(" \t"):
        return "a header's value neither begins nor ends with white space"
    return None
