"""Registries as real processes: `meshd registry serve`, and what their HTTP says."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.mesh import MESHD, spawn

READY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RegistryProcess:
    """A started `meshd registry serve`."""

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


@contextlib.contextmanager
def running_registry(folder: Path, *options: str, port: int = 0) -> Generator[RegistryProcess]:
    """Run a registry while the block runs; then stop it as a service manager would."""
    registry = start_registry(folder, *options, port=port)
    try:
        yield registry
        if registry.process.poll() is None:
            registry.process.send_signal(signal.SIGTERM)
            assert registry.process.wait(10) == 0, registry.log.read_text()
    finally:
        registry.process.kill()
        registry.process.wait()
