"""`meshd run --detach`: the same command in a session of its own, watched until it is ready."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meshd.cli.audience import SILENT_SECONDS, starting_words
from meshd.cli.mesh import announce_mesh
from meshd.cli.output import say
from meshd.cli.patience import saying
from meshd.cli.run import Options
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.client import AdminClient
from meshd.daemon.state import StateDirectory
from meshd.errors import DaemonError, NotReachable

LOG = "daemon.log"
POLL_SECONDS = 0.05
STDIN = Path("-")


def run_detached(words: Sequence[str], paths: Sequence[Path], options: Options) -> int:
    """Start the daemon, wait until its mesh is ready, and leave it running.

    `words` are the whole command line. Return the status of the daemon if it ends.

    Raises:
        DaemonError: another daemon holds the state directory, or it cannot be used.

    """
    seconds(options.grace, "--grace")
    # What another daemon writes must not be overwritten; and its words would be in a file.
    with StateDirectory(options.state_dir).held():
        pass
    log = options.state_dir / LOG
    daemon = _started(words, log, wants_input=STDIN in paths)
    admin = AdminClient(options.state_dir)
    try:
        is_running = asyncio.run(_ready(daemon, admin))
    except BaseException:
        _end(daemon)
        raise
    if not is_running:
        return _tell_end(daemon.returncode, log)
    # Left running on purpose, which Popen would warn of.
    daemon.returncode = 0
    announce_mesh(
        admin.mesh(),
        admin.tool,
        options.state_dir,
        process=f"process {daemon.pid}, which prints to {log}",
    )
    return 0


def _started(words: Sequence[str], log: Path, *, wants_input: bool) -> "subprocess.Popen[bytes]":
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603  (the command that this one is)
            daemon_command(words),
            stdin=None if wants_input else subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    except OSError as error:
        raise DaemonError(f"the daemon cannot be started: {error.strerror}") from None
    finally:
        os.close(descriptor)


def daemon_command(words: Sequence[str]) -> list[str]:
    """Return the command line of the daemon itself."""
    detached = ["--detached" if word == "--detach" else word for word in words]
    # With `-P`: nothing is imported from the folder where the user happens to be.
    return [sys.executable, "-P", "-m", "meshd", *detached]


async def _ready(daemon: "subprocess.Popen[bytes]", admin: AdminClient) -> bool:
    """Wait until the mesh runs; False if the daemon has ended."""
    clock = SystemClock()
    speaks_at = clock.monotonic() + SILENT_SECONDS
    words, said = "checking the manifests …", ""
    while daemon.poll() is None:
        status = _asked(admin)
        if status is not None and status["phase"] == "running":
            return True
        words = starting_words(status) if status else words
        if words != said and clock.monotonic() >= speaks_at:
            said = words
            say(words)
        await clock.sleep(POLL_SECONDS)
    return False


def _asked(admin: AdminClient) -> dict[str, Any] | None:
    try:
        return admin.status()
    except NotReachable:
        return None


def _tell_end(status: int, log: Path) -> int:
    """Print what the daemon printed, as if it had done so here; return the exit status."""
    if text := log.read_text(encoding="utf-8", errors="replace").rstrip("\n"):
        say(text)
    if status >= 0:
        return status
    say(f"the daemon was killed by signal {-status}")
    return 128 - status


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    """Stop a daemon that nobody waits for any more; a second Ctrl-C goes to it as well."""
    daemon.send_signal(signal.SIGTERM)
    try:
        with saying("stopping …"):
            daemon.wait()
    except KeyboardInterrupt:
        daemon.send_signal(signal.SIGTERM)
        raise
