"""Meshes as real processes, seen only from outside: signals, files, the command line and HTTP.

`running_mesh` starts `meshd run` in a session of its own, waits until every agent is ready, and at
the end stops it and checks that no process, socket or port is left behind.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meshd.daemon.client import AdminClient
from meshd.errors import NotReachable

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).parent / "manifests"
MESHD = [sys.executable, "-m", "meshd"]
READY_SECONDS = 40.0
STOP_SECONDS = 10.0


def meshd(*arguments: str | Path, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [*MESHD, *map(str, arguments)]
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=seconds
    )


@dataclass(frozen=True, slots=True)
class Mesh:
    """A started `meshd run`."""

    process: subprocess.Popen[bytes]
    state: Path
    log: Path

    @property
    def output(self) -> str:
        """What it has printed so far, on both streams."""
        return self.log.read_text(errors="replace")

    def listed(self) -> dict[str, Any]:
        """Return what `meshd list --format json` prints."""
        done = meshd("list", "--state-dir", self.state, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def view(self) -> dict[str, Any]:
        """Return the same as `listed`, without starting a process."""
        return AdminClient(self.state).mesh()

    def endpoint(self, agent: str) -> str:
        """Return the base URL of an agent's only instance."""
        [endpoint] = [
            instance["endpoint"]
            for entry in self.view()["agents"]
            if entry["name"] == agent
            for instance in entry["instances"]
        ]
        return endpoint

    def mcp(self, agent: str) -> str:
        """Return the MCP URL of an agent."""
        return f"{self.endpoint(agent)}/mcp"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon alone."""
        self.process.send_signal(number)

    def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return the exit status; a signal's number is negative."""
        return self.process.wait(seconds)

    def processes(self) -> list[int]:
        """Return the ids of all processes of its session that are alive."""
        return [
            int(entry.name) for entry in Path("/proc").iterdir() if _is_in(self.process.pid, entry)
        ]


def _is_in(session: int, entry: Path) -> bool:
    if not entry.name.isdecimal():
        return False
    try:
        # After the command's name, which may hold spaces: state, parent, group, session.
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[3]) == session and fields[0] != "Z"


def spawn(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; both of its streams go to the log.

    `environment` are variables besides those of the tests.
    """
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )


def start(
    paths: tuple[Path, ...],
    folder: Path,
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> Mesh:
    """Start `meshd run` and return at once; `folder` receives the state and the output."""
    log = folder / "output.txt"
    state = folder / "state"
    command = [*MESHD, "run", *map(str, paths), "--state-dir", str(state), *options]
    return Mesh(spawn(command, log, environment), state, log)


def wait_until_ready(mesh: Mesh) -> None:
    """Wait until every agent is ready; fail with the output if the process ends before."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        status = mesh.process.poll()
        assert status is None, f"meshd run ended with status {status}:\n{mesh.output}"
        # It may not listen yet, or just be ending; httpx2 leaves a refused socket unclosed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            with contextlib.suppress(NotReachable):
                found = AdminClient(mesh.state).status()
                if found["phase"] == "running" and all(
                    agent["status"] == "ready" for agent in found["agents"]
                ):
                    return
        time.sleep(0.05)
    raise AssertionError(f"not ready after {READY_SECONDS} s:\n{mesh.output}")


def kill(mesh: Mesh) -> None:
    """End everything that the mesh started, whatever state it is in."""
    if mesh.process.poll() is None or mesh.processes():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(mesh.process.pid, signal.SIGKILL)
    mesh.process.wait(STOP_SECONDS)


def assert_nothing_is_left(mesh: Mesh, endpoints: list[str]) -> None:
    """Check that the processes are gone, the socket is removed and the ports are free."""
    assert mesh.processes() == []
    assert list(mesh.state.glob("*.sock")) == []
    for endpoint in endpoints:
        address = urlsplit(endpoint)
        with socket.socket() as probe:
            assert probe.connect_ex((address.hostname, address.port)) != 0, endpoint


@contextlib.contextmanager
def running_mesh(
    *paths: Path,
    folder: Path,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Generator[Mesh]:
    """Run a mesh while the block runs; then stop it as a service manager would."""
    mesh = start(paths, folder, "--registry-port", "0", *options, environment=environment)
    try:
        wait_until_ready(mesh)
        endpoints = [
            instance["endpoint"]
            for agent in mesh.view()["agents"]
            for instance in agent["instances"]
        ]
        yield mesh
        mesh.signal(signal.SIGTERM)
        assert mesh.ended() == 0, mesh.output
        assert_nothing_is_left(mesh, endpoints)
    finally:
        kill(mesh)
