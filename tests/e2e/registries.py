"""Registries as real processes: ours and MCP Mesh's own, and what their HTTP says."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.mesh import MESHD, spawn
from tests.tools import go_registry

READY_SECONDS = 20.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class RegistryProcess:
    """A started registry."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str) -> Any:
        return httpx2.get(f"{self.url}{path}").raise_for_status().json()

    def post(self, identity: str, *tools: dict[str, Any], **more: Any) -> Any:
        fields = {"agent_id": identity, "http_host": "127.0.0.1", "http_port": 9, "tools": tools}
        return httpx2.post(f"{self.url}/heartbeat", json=fields | more).json()

    def head(self, identity: str) -> int:
        return httpx2.head(f"{self.url}/heartbeat/{identity}").status_code

    def delete(self, identity: str, reason: str = "") -> int:
        asked = {"reason": reason} if reason else None
        return httpx2.delete(f"{self.url}/agents/{identity}", params=asked).status_code


def start_registry(folder: Path, *options: str, port: int = 0) -> RegistryProcess:
    """Start a registry and wait until it listens."""
    log = folder / f"registry-{time.monotonic_ns()}.txt"
    command = [*MESHD, "registry", "serve", "--port", str(port), *options]
    process = spawn(command, log)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        words = log.read_text().split()
        if "stop:" in words:
            url = words[words.index("registry:") + 1]
            return RegistryProcess(process, url, log)
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"the registry does not listen:\n{log.read_text()}")


def start_go_registry(
    folder: Path, *, timeout_seconds: int = 20, check_seconds: int = 10
) -> RegistryProcess:
    """Start MCP Mesh's registry on a file in `folder`, and wait until it answers."""
    log = folder / f"go-registry-{time.monotonic_ns()}.txt"
    for _ in range(_TRIES):  # it cannot choose its port, and another process may be quicker
        url = f"http://127.0.0.1:{_free_port()}"
        settings = {
            "HOST": "127.0.0.1",
            "PORT": url.rpartition(":")[2],
            "DATABASE_URL": folder / "go-registry.db",
            "MCP_MESH_LOG_LEVEL": "INFO",
            "DEFAULT_TIMEOUT_THRESHOLD": timeout_seconds,
            "HEALTH_CHECK_INTERVAL": check_seconds,
        }
        given = (f"{name}={value}" for name, value in settings.items())
        process = spawn(["env", "-u", "REDIS_URL", *given, str(go_registry.installed())], log)
        if _answers(process, f"{url}/health"):
            return RegistryProcess(process, url, log)
        process.kill()
        process.wait()
    raise AssertionError(f"MCP Mesh's registry does not answer:\n{log.read_text()}")


@contextlib.contextmanager
def running_registry(folder: Path, *options: str, port: int = 0) -> Generator[RegistryProcess]:
    """Run a registry while the block runs; then stop it as a service manager would."""
    with _stopped_at_the_end(start_registry(folder, *options, port=port)) as registry:
        yield registry


@contextlib.contextmanager
def running_go_registry(
    folder: Path, *, timeout_seconds: int = 20, check_seconds: int = 10
) -> Generator[RegistryProcess]:
    """Run MCP Mesh's registry while the block runs; a lapse is seen at its next check."""
    started = start_go_registry(
        folder, timeout_seconds=timeout_seconds, check_seconds=check_seconds
    )
    with _stopped_at_the_end(started) as registry:
        yield registry


@contextlib.contextmanager
def _stopped_at_the_end(registry: RegistryProcess) -> Generator[RegistryProcess]:
    try:
        yield registry
        if registry.process.poll() is None:
            registry.process.send_signal(signal.SIGTERM)
            assert registry.process.wait(10) == 0, registry.log.read_text()
    finally:
        registry.process.kill()
        registry.process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            health = httpx2.get(url).raise_for_status().json()
            # Whoever took the port first may answer too.
            return health["service"] == "mcp-mesh-registry" and process.poll() is None
        time.sleep(0.02)
    return False
