"""A mesh as a process: how it starts, refuses to start, stops, and what it leaves behind."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx2
import pytest

from tests.e2e.mesh import (
    Mesh,
    assert_nothing_is_left,
    kill,
    meshd,
    running_mesh,
    start,
    wait_until_ready,
)
from tests.e2e.project import until
from tests.e2e.wire import call_request

pytestmark = pytest.mark.e2e

MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: lone}}
spec:
  python: {{path: src}}
  http: {{port: {port}}}
  tools:
    - callable: lone:nap
"""
MODULE = """\
import time
from pathlib import Path

(Path(__file__).parents[1] / "imported").touch()


def nap(seconds: float) -> str:
    (Path(__file__).parents[1] / "napping").touch()
    time.sleep(seconds)
    return "rested"
"""
SECONDS_TO_STOP = 5.0


def project(folder: Path, port: int = 0) -> Path:
    """Write a project of one agent, whose module leaves a file when it is imported."""
    (folder / "src").mkdir()
    (folder / "src" / "lone.py").write_text(MODULE)
    (folder / "lone.yaml").write_text(MANIFEST.format(port=port))
    return folder / "lone.yaml"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_validate_imports_no_user_code_and_run_does(tmp_path: Path) -> None:
    manifest = project(tmp_path)

    done = meshd("validate", manifest, "--format", "json")

    assert (done.returncode, json.loads(done.stdout)) == (0, {"diagnostics": []})
    assert not (tmp_path / "imported").exists()
    with running_mesh(manifest, folder=tmp_path):
        assert (tmp_path / "imported").exists()


def test_a_fixed_port_is_used_and_free_again_at_once(tmp_path: Path) -> None:
    port = free_port()
    manifest = project(tmp_path, port)

    for _ in range(2):
        with running_mesh(manifest, folder=tmp_path) as mesh:
            assert mesh.endpoint("lone") == f"http://127.0.0.1:{port}"
            assert httpx2.get(f"{mesh.endpoint('lone')}/health").status_code == 200


def test_a_port_in_use_is_named_with_its_place(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        manifest = project(tmp_path, port)
        done = meshd("run", manifest, "--state-dir", tmp_path / "state")

    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "in use" in done.stderr
    assert f"{manifest}:6:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_daemon_for_the_same_state_is_refused(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    with running_mesh(manifest, folder=tmp_path) as mesh:
        done = meshd("run", manifest, "--state-dir", mesh.state)

        assert done.returncode == 1
        assert str(mesh.process.pid) in done.stderr
        assert mesh.listed()["agents"][0]["status"] == "ready"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_seconds(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    mesh = start((project(tmp_path),), tmp_path)
    try:
        wait_until_ready(mesh)
        endpoint = mesh.endpoint("lone")
        began = time.monotonic()
        # To the whole group, as a terminal does for Ctrl-C.
        os.killpg(mesh.process.pid, number)
        ended = mesh.ended()
        took = time.monotonic() - began

        assert ended == status, mesh.output
        assert took < SECONDS_TO_STOP
        assert "Traceback" not in mesh.output
        assert_nothing_is_left(mesh, [endpoint])
    finally:
        kill(mesh)


def test_a_signal_while_it_starts_ends_it(tmp_path: Path) -> None:
    mesh = start((project(tmp_path),), tmp_path)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "imported").exists():
            assert time.monotonic() < deadline, mesh.output
            time.sleep(0.005)
        mesh.signal(signal.SIGINT)

        assert mesh.ended() == 130, mesh.output
        assert "Traceback" not in mesh.output
        assert_nothing_is_left(mesh, [])
    finally:
        kill(mesh)


def test_stop_ends_it_and_says_so_only_when_it_has_ended(tmp_path: Path) -> None:
    mesh = start((project(tmp_path),), tmp_path)
    try:
        wait_until_ready(mesh)
        endpoint = mesh.endpoint("lone")
        done = meshd("stop", "--state-dir", mesh.state)

        assert done.returncode == 0, done.stderr
        assert mesh.ended(1) == 0, mesh.output
        assert_nothing_is_left(mesh, [endpoint])
        assert meshd("list", "--state-dir", mesh.state).returncode == 4
    finally:
        kill(mesh)


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Napper:
    """A call that takes some seconds, made in a thread."""

    def __init__(self, mesh: Mesh, folder: Path, seconds: float) -> None:
        self.answer: httpx2.Response | None = None
        self._headers, self._body = call_request("modern", "nap", {"seconds": seconds})
        self._url = mesh.mcp("lone")
        self._started = folder / "napping"
        self._thread = threading.Thread(target=self._call)

    def _call(self) -> None:
        try:
            self.answer = httpx2.post(self._url, headers=self._headers, json=self._body, timeout=20)
        except httpx2.HTTPError:
            self.answer = None

    def begin(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._started.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> None:
        self._thread.join(20)


@pytest.mark.parametrize("options", [(), ("--in-process",)], ids=["processes", "in_process"])
def test_a_call_under_way_is_finished_before_the_end(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    port = free_port()
    mesh = start((project(tmp_path, port),), tmp_path, *options)
    try:
        wait_until_ready(mesh)
        napper = Napper(mesh, tmp_path, 3)
        napper.begin()
        mesh.signal(signal.SIGTERM)
        until(lambda: refuses(port), 2)
        assert napper.answer is None
        napper.end()
        mesh.ended()

        assert napper.answer is not None, mesh.output
        assert napper.answer.json()["result"]["structuredContent"] == {"result": "rested"}
    finally:
        kill(mesh)


def test_a_call_that_does_not_end_is_waited_for_no_longer_than_the_grace(tmp_path: Path) -> None:
    mesh = start((project(tmp_path),), tmp_path, "--grace", "1s")
    try:
        wait_until_ready(mesh)
        napper = Napper(mesh, tmp_path, 15)
        napper.begin()
        began = time.monotonic()
        mesh.signal(signal.SIGTERM)
        mesh.ended()

        assert time.monotonic() - began < SECONDS_TO_STOP
        napper.end()
        assert mesh.processes() == []
    finally:
        kill(mesh)


def test_after_a_kill_it_starts_again(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    mesh = start((manifest,), tmp_path)
    try:
        wait_until_ready(mesh)
        mesh.signal(signal.SIGKILL)
        mesh.ended()
        until(lambda: not mesh.processes(), 5)
        assert meshd("list", "--state-dir", mesh.state).returncode == 4
    finally:
        kill(mesh)
    with running_mesh(manifest, folder=tmp_path) as again:
        assert again.listed()["agents"][0]["name"] == "lone"
