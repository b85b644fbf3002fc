"""`meshd agent run` as a real process, as a container runs it."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.mesh import MESHD, spawn

READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Foreground:
    """A started `meshd agent run`."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """What it has printed so far, on both streams."""
        return self.log.read_text(errors="replace")

    @property
    def endpoint(self) -> str:
        """The base URL of its instance, as it has said."""
        found = re.search(r"(http://\S+)/mcp", self.output)
        assert found is not None, self.output
        return found[1]


@contextlib.contextmanager
def running_foreground(
    agent: str,
    *paths: Path,
    folder: Path,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Generator[Foreground]:
    """Run one agent while the block runs, from the moment that it says that it is ready."""
    log = folder / f"agent-{time.monotonic_ns()}.txt"
    command = [*MESHD, "agent", "run", agent, "-f", *map(str, paths), *options]
    started = Foreground(spawn(command, log, environment), log)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while "stop:" not in started.output:
            assert started.process.poll() is None, started.output
            assert time.monotonic() < deadline, started.output
            time.sleep(0.02)
        yield started
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(15) == 0, started.output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()
