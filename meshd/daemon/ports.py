"""The listening sockets of the mesh: made, kept and shut by the daemon, served by its processes.

A socket is bound here and listens once the process that serves it is ready. When that process has
died the daemon shuts the socket, so that callers are refused at once instead of waiting in a queue
that nobody serves; the port stays taken, and the next process listens on the very same socket.
"""

import contextlib
import errno
import socket

from meshd.domain.endpoint import Endpoint

_ATTEMPTS = 20


class Port:
    """A bound TCP socket."""

    def __init__(self, host: str, port: int) -> None:
        """Bind.

        Raises:
            OSError: the port is taken, or the host is no address of this machine.
            OverflowError: there is no such port.

        """
        self._socket = _bound("127.0.0.1" if host == "localhost" else host, port)
        self.endpoint = Endpoint(*self._socket.getsockname()[:2])

    @property
    def descriptor(self) -> int:
        """The file descriptor, to be handed to a process."""
        return self._socket.fileno()

    def open(self) -> None:
        """Allow a process to listen, although connections of an earlier one may still linger."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def shut(self) -> None:
        """Refuse connections, and reset those that wait, until somebody listens again."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        _reserve(self._socket)

    def duplicate(self) -> socket.socket:
        """Return another handle on the socket, for who serves in this process."""
        return self._socket.dup()

    def close(self) -> None:
        """Give the port up."""
        self._socket.close()


def refusal(error: OSError | OverflowError) -> str:
    """Say in words why a port cannot be had."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "it is in use"
    return getattr(error, "strerror", None) or str(error)


def outgoing_host() -> str:
    """Return this machine's address as other machines see it, as well as it can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the kernel only chooses the way (the address is one of RFC 5737).
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def _bound(host: str, port: int) -> socket.socket:
    """Bind to a port by its number: one that the kernel chose is lost when the socket is shut."""
    if port:
        return _bind(host, port)
    for _ in range(_ATTEMPTS):
        with _bind(host, 0) as probe:
            chosen = probe.getsockname()[1]
        with contextlib.suppress(OSError):
            return _bind(host, chosen)
    return _bind(host, 0)


def _bind(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    The protocol is named because asyncio disables Nagle's algorithm only on sockets that say they
    are TCP; without it every answer waits for a delayed acknowledgement, about 40 ms.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        _reserve(bound)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _reserve(bound: socket.socket) -> None:
    """Keep others from the port while nobody listens: Linux asks both whether they would share."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
