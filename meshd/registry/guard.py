"""Who may talk to the registry: no web page may, by whatever name it calls this machine.

The rules are those of the agents' servers: Host names this machine, and an Origin, which only
browsers send, is this machine or the server itself. That there is exactly one Host is checked
before.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from meshd.domain.endpoint import is_loopback

Refusal = tuple[int, bytes]
"""Status and text."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def guarded(app: ASGIApp, hosts: tuple[str, ...], *, any_host: bool = False) -> ASGIApp:
    """Return the application behind the check; `hosts` are names besides those of loopback."""
    names = {*LOOPBACK_NAMES, *(host.lower() for host in hosts)}

    @lru_cache(maxsize=64)  # a registry hears the same few names with every heartbeat
    def refusal(host: bytes, origin: bytes | None) -> Refusal | None:
        named = host.decode("latin-1").lower()
        if not any_host and host_name(named) not in names:
            return 421, b"Misdirected Request"
        if origin is not None and not _is_own(origin.decode("latin-1").lower(), named):
            return 403, b"Forbidden Origin"
        return None

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host, origin = b"", None
            for name, value in scope["headers"]:
                if name == b"host":
                    host = value
                elif name == b"origin":
                    origin = value
            if refused := refusal(host, origin):
                await _refuse(send, *refused)
                return
        await app(scope, receive, send)

    return checked


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_own(origin: str, host: str) -> bool:
    try:
        name = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    return origin == f"http://{host}" or (is_loopback(name) and is_loopback(host_name(host)))


async def _refuse(send: Send, status: int, text: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
