"""The state directory of a daemon: who holds it, and where its admin socket is."""

import fcntl
import hashlib
import json
import os
import secrets
import socket as sockets  # a StateDirectory's `socket` is a path
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from meshd.domain.names import node_problem
from meshd.errors import AlreadyRunning, DaemonError, NotReachable

LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes; some room is left for other systems."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """A folder that at most one daemon holds at a time."""

    path: Path

    @property
    def socket(self) -> Path:
        """Where the admin socket is: in the folder, or in a private one if its path is too long."""
        inside = self.path.resolve() / "admin.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"meshd-{os.getuid()}-{digest}" / "admin.sock"

    @property
    def logs(self) -> Path:
        """Where the output of instances is kept."""
        return self.path / "logs"

    def node(self, chosen: str = "") -> str:
        """Return the name of this place among daemons that share a registry.

        It is the one chosen, or a short random one that the folder remembers.
        """
        if chosen:
            return checked_node(chosen)
        file = self.path / "node"
        with self._usable():
            if not file.exists():
                file.write_text(random_node(), encoding="utf-8")
            return file.read_text(encoding="utf-8").strip()

    @contextmanager
    def held(self) -> Generator[Self, None, None]:
        """Hold the directory while the block runs.

        Raises:
            AlreadyRunning: another daemon holds it.
            DaemonError: it cannot be made or written.

        """
        with self._opened_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = self._holder(lock.fileno())
                raise AlreadyRunning(
                    f"a daemon{holder} already runs with the state directory `{self.path}`",
                    "stop it with `meshd stop`, or choose another one with `--state-dir`",
                ) from None
            with self._usable():
                lock.truncate(0)
                lock.write(json.dumps({"pid": os.getpid()}).encode())
                self.socket.unlink(missing_ok=True)
            try:
                yield self
            finally:
                self.socket.unlink(missing_ok=True)
                lock.truncate(0)

    def listen(self) -> sockets.socket:
        """Return a listening socket at `socket` that only this user can connect to."""
        with self._usable():
            return listen_privately(self.socket)

    def _opened_lock(self) -> FileIO:
        with self._usable():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private_socket_folder()
            return (self.path / "lock").open("a+b", buffering=0)

    @contextmanager
    def _usable(self) -> Generator[None, None, None]:
        """Turn what the file system refuses, for want of room or rights, into a `DaemonError`."""
        try:
            yield
        except OSError as error:
            message = f"cannot use the state directory `{self.path}`: {error.strerror}"
            raise DaemonError(message, "choose another one with `--state-dir`") from None

    def require_daemon(self) -> Path:
        """Return the path of the admin socket, or raise `NotReachable` if there is none."""
        if not self.socket.exists():
            raise NotReachable(
                f"no daemon runs with the state directory `{self.path}`",
                "start one with `meshd run`, or name its `--state-dir`",
            )
        return self.socket

    def _make_private_socket_folder(self) -> None:
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder != self.path.resolve() and folder.stat().st_uid != os.getuid():
            raise PermissionError(1, f"`{folder}` belongs to another user")

    @staticmethod
    def _holder(descriptor: int) -> str:
        text = os.pread(descriptor, 100, 0)
        try:
            return f" (process {json.loads(text)['pid']})"
        except (ValueError, KeyError, TypeError):
            return ""


def checked_node(node: str) -> str:
    """Return the name of a place that the user chose.

    Raises:
        DaemonError: it cannot be one.

    """
    if problem := node_problem(node):
        raise DaemonError(f"`MESHD_NODE`: {problem}")
    return node


def random_node() -> str:
    """Return a short name for a place that nobody has named."""
    return secrets.token_hex(2)


def listen_privately(path: Path) -> sockets.socket:
    """Return a listening Unix socket that only this user can connect to."""
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        # The mode applies to the socket from its first moment on.
        mask = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        listener.listen(64)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
