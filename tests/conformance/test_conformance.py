"""The official MCP conformance suite: meshd passes every check that plain FastMCP passes."""

import contextlib
import fnmatch
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conformance.suite import RUNS, Check, Verdicts, verdicts
from tests.e2e.mesh import running_mesh

pytestmark = pytest.mark.conformance
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def meshd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_mesh(HERE / "manifests", folder=tmp_path_factory.mktemp("meshd")) as mesh:
        yield mesh.mcp("conformance")


@contextlib.contextmanager
def plain_fastmcp(folder: Path, *options: str) -> Generator[str]:
    """Serve the same callables from plain FastMCP; yield the address."""
    command = [sys.executable, str(HERE / "baseline_server.py")]
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    descriptor = listener.fileno()
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*command, str(descriptor), *options],
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


@pytest.fixture(scope="module")
def fastmcp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with plain_fastmcp(tmp_path_factory.mktemp("fastmcp")) as url:
        yield url


def known_failures(run: str) -> list[str]:
    """Return the patterns of known_failures.txt for the run, as `SCENARIO CHECK`."""
    lines = (HERE / "known_failures.txt").read_text().splitlines()
    entries = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    return [pattern for runs, pattern in entries if run in runs.split(",")]


def matching(pattern: str, checks: set[Check]) -> set[Check]:
    return {check for check in checks if fnmatch.fnmatchcase(" ".join(check), pattern)}


def listing(checks: set[Check], reasons: Verdicts) -> str:
    return "\n".join(
        f"  {scenario} {check}: {reasons.reasons.get((scenario, check), '')}"
        for scenario, check in sorted(checks)
    )


@pytest.mark.parametrize("run", RUNS)
def test_meshd_passes_what_plain_fastmcp_passes(
    run: str,
    meshd_url: str,
    fastmcp_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = verdicts(fastmcp_url, run, tmp_path / "fastmcp")
    ours = verdicts(meshd_url, run, tmp_path / "meshd")

    with capsys.disabled():
        sys.stdout.write(f"\nconformance {run}: meshd {ours}\n")
        sys.stdout.write(f"{' ' * len(run)} plain FastMCP {theirs}\n")
    lost = theirs.passed - ours.passed
    assert not lost, f"plain FastMCP passes what meshd does not:\n{listing(lost, ours)}"
    known = {pattern: matching(pattern, ours.failed) for pattern in known_failures(run)}
    unknown = ours.failed.difference(*known.values())
    assert not unknown, f"not in known_failures.txt:\n{listing(unknown, ours)}"
    mended = [pattern for pattern, failures in known.items() if not failures]
    assert not mended, f"these pass now; delete them from known_failures.txt: {mended}"
