"""The two servers that are compared: a meshd agent, and plain FastMCP with the same callables."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mesh import running_mesh

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def meshd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the conformance callables from a meshd agent; the address of its MCP endpoint."""
    with running_mesh(HERE / "manifests", folder=tmp_path_factory.mktemp("meshd")) as mesh:
        yield mesh.mcp("conformance")


@pytest.fixture(scope="session")
def fastmcp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the same callables from plain FastMCP."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    descriptor = listener.fileno()
    with (tmp_path_factory.mktemp("fastmcp") / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "baseline_server.py"), str(descriptor)],
            pass_fds=[descriptor],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
