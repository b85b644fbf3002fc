"""Where an instance is reached: scheme, host and port, as one value."""

from dataclasses import dataclass

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  (compared with, not bound)
_LOOPBACK = frozenset({"localhost", "::1"})


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
    """Say whether only this machine can reach the host."""
    return host in _LOOPBACK or host.startswith("127.")
