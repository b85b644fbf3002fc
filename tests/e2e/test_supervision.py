"""What dies comes back, what depends on it waits, and nothing outlives the daemon."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from meshd.daemon.linux import is_alive
from tests.e2e.mesh import Mesh, kill, meshd, running_mesh, start, wait_until_ready
from tests.e2e.project import call, events, instance, shop, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def refuses(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address.hostname, address.port)) != 0


def resolved(mesh: Mesh) -> bool:
    needs = [need for agent in mesh.view()["agents"] for need in agent["needs"]]
    return bool(needs) and all(need["status"] == "resolved" for need in needs)


def test_a_killed_instance_is_refused_at_once_and_back_on_its_port(tmp_path: Path) -> None:
    with running_mesh(shop(tmp_path), folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        before, other = instance(mesh, "prices-1"), instance(mesh, "shop-1")
        assert call(other["endpoint"], "order", item="tea") == "tea costs 3 EUR"

        os.kill(before["pid"], signal.SIGKILL)
        killed = time.monotonic()
        until(
            lambda: (
                refuses(before["endpoint"]) or instance(mesh, "prices-1")["pid"] != before["pid"]
            ),
            0.5,
        )
        until(
            lambda: (
                instance(mesh, "prices-1")["status"] == "ready" and not refuses(before["endpoint"])
            ),
            5,
        )
        took = time.monotonic() - killed

        after = instance(mesh, "prices-1")
        assert took < 2, took
        assert after["endpoint"] == before["endpoint"]
        assert after["pid"] != before["pid"]
        assert instance(mesh, "shop-1") == other
        until(lambda: resolved(mesh))
        assert call(other["endpoint"], "order", item="milk") == "milk costs 4 EUR"
        assert events(mesh, "unregister", "prices-1")[0]["data"]["reason"] == "process_died"


class Caller:
    """Makes calls one after the other until it is told to stop, and counts those that fail."""

    def __init__(self, endpoint: str) -> None:
        self.failures: list[str] = []
        self.done = 0
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                call(self._endpoint, "order", item="tea")
                self.done += 1
            except (AssertionError, httpx2.HTTPError) as error:
                self.failures.append(str(error))


def named(mesh: Mesh, name: str) -> set[int]:
    """Return the processes of the mesh that have a name."""
    found: set[int] = set()
    for process in mesh.processes():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process}/comm").read_text().strip() == name:
                found.add(process)
    return found


def registry_pids(mesh: Mesh) -> set[int]:
    return named(mesh, "registry")


def fork_server_pid(mesh: Mesh) -> int:
    [server] = named(mesh, "meshd:fork")
    return server


def test_calls_go_on_without_the_registry_which_comes_back(tmp_path: Path) -> None:
    with running_mesh(shop(tmp_path, interval="1s"), folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        endpoint = instance(mesh, "shop-1")["endpoint"]
        url = mesh.view()["registry"]["url"]
        [before] = registry_pids(mesh)
        with Caller(endpoint) as caller:
            os.kill(before, signal.SIGKILL)
            until(lambda: not is_alive(before))
            until(lambda: registry_pids(mesh) - {before}, 5)
            back = time.monotonic()

            def listed() -> bool:
                agents = httpx2.get(f"{url}/agents?status=healthy").json()["agents"]
                return {agent["id"] for agent in agents} == {"shop-1", "prices-1"}

            until(listed, 10)
            assert time.monotonic() - back < 10
            time.sleep(3)  # a few heartbeats more
        assert mesh.view()["registry"]["url"] == url
        assert mesh.view()["registry"]["status"] == "ready"
        assert caller.failures == []
        assert caller.done > 10


def test_instances_outlive_the_fork_server_and_another_one_forks(tmp_path: Path) -> None:
    with running_mesh(shop(tmp_path), folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        before = [instance(mesh, "prices-1"), instance(mesh, "shop-1")]
        server = fork_server_pid(mesh)
        os.kill(server, signal.SIGKILL)
        until(lambda: not is_alive(server))
        assert [instance(mesh, "prices-1"), instance(mesh, "shop-1")] == before
        assert call(before[1]["endpoint"], "order", item="tea") == "tea costs 3 EUR"

        assert meshd("restart", "prices", "--state-dir", mesh.state).returncode == 0
        assert instance(mesh, "prices-1")["pid"] != before[0]["pid"]
        assert fork_server_pid(mesh) != server


SPAWNING = """\
import subprocess
import sys

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def spawn() -> list[int]:
    started = [subprocess.Popen(SLEEP), subprocess.Popen(SLEEP, start_new_session=True)]
    return [process.pid for process in started]
"""


def spawning(folder: Path) -> Path:
    project = shop(folder)
    (project / "src" / "prices.py").write_text(SPAWNING)
    text = (project / "prices.yaml").read_text()
    (project / "prices.yaml").write_text(
        text.replace("prices:price", "prices:spawn").replace("    - callable: prices:pid\n", "")
    )
    return project


def test_nothing_outlives_a_killed_daemon(tmp_path: Path) -> None:
    mesh = start((spawning(tmp_path),), tmp_path)
    below: list[int] = []
    try:
        wait_until_ready(mesh)
        endpoint = instance(mesh, "prices-1")["endpoint"]
        below = call(endpoint, "spawn")
        everything = {*mesh.processes(), *below}
        assert len(everything) >= 7  # daemon, fork server, registry, two instances, two below
        mesh.signal(signal.SIGKILL)
        mesh.process.wait()
        until(lambda: not any(map(is_alive, everything)), 5)
    finally:
        kill(mesh)
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def test_what_a_killed_instance_started_goes_with_it(tmp_path: Path) -> None:
    with running_mesh(spawning(tmp_path), folder=tmp_path) as mesh:
        one = instance(mesh, "prices-1")
        below = call(one["endpoint"], "spawn")
        os.kill(one["pid"], signal.SIGKILL)
        until(lambda: not any(map(is_alive, below)), 5)


def test_a_stopped_instance_is_withdrawn_by_its_lease_and_back_once(tmp_path: Path) -> None:
    with running_mesh(shop(tmp_path, interval="1s"), folder=tmp_path) as mesh:
        until(lambda: resolved(mesh))
        one = instance(mesh, "prices-1")
        os.kill(one["pid"], signal.SIGSTOP)
        try:
            until(lambda: events(mesh, "unhealthy", "prices-1"), 8)
            until(lambda: not resolved(mesh), 5)
        finally:
            os.kill(one["pid"], signal.SIGCONT)
        until(lambda: resolved(mesh), 10)
        time.sleep(3)
        assert len(events(mesh, "unhealthy", "prices-1")) == 1
        registered = [event["data"]["reason"] for event in events(mesh, "register", "prices-1")]
        assert registered == ["recovery", "first_heartbeat"]
        assert instance(mesh, "prices-1") == one


CRASHING = """\
import os
import threading

threading.Timer(0.3, lambda: os._exit(7)).start()


def price(item: str) -> str:
    return item


def pid() -> int:
    return os.getpid()
"""


def test_a_crash_loop_is_slowed_down_and_explained(tmp_path: Path) -> None:
    project = shop(tmp_path)
    (project / "src" / "prices.py").write_text(CRASHING)
    mesh = start((project,), tmp_path)
    try:
        until(lambda: "crash loop" in mesh.output, 30, mesh.output)
        done = meshd("status", "--state-dir", mesh.state)
        assert done.returncode == 0, done.stderr
        assert "status 7" in done.stdout
        assert instance(mesh, "shop-1")["status"] == "ready"
        mesh.signal(signal.SIGTERM)
        assert mesh.ended() == 0, mesh.output
    finally:
        kill(mesh)
