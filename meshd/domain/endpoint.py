"""Where an instance is reached: scheme, host and port, as one value."""

from dataclasses import dataclass
from ipaddress import ip_address

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  (compared with, not bound)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address that others are told; an IPv6 address has no brackets here."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The base URL; the MCP endpoint is `/mcp` below it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def advertised(self, text: str) -> "Endpoint":
        """Return the endpoint with the host, or `host:port`, that the manifest says instead."""
        if not text:
            return self
        host, colon, port = text.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
            return Endpoint(host.strip("[]"), int(port), self.scheme)
        return Endpoint(text.strip("[]"), self.port, self.scheme)


def is_loopback(host: str) -> bool:
    """Say whether a name or address is this machine, seen from itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
