"""`meshd run --detach`, and the commands that speak to a mesh that nobody looks at."""

import os
import signal
from pathlib import Path

import pytest

from meshd.daemon.client import AdminClient
from meshd.daemon.linux import is_alive
from tests.e2e.mesh import meshd
from tests.e2e.project import call, shop, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
TALKING = """\
print("prices are open")
"""


def test_a_detached_mesh_is_asked_restarted_and_stopped(tmp_path: Path) -> None:
    project = shop(tmp_path)
    module = project / "src" / "prices.py"
    module.write_text(TALKING + module.read_text())
    state = ("--state-dir", tmp_path / "state")
    done = meshd("run", project, *state, "--registry-port", "0", "--detach", seconds=60)
    assert done.returncode == 0, done.stderr
    admin = AdminClient(tmp_path / "state")

    def prices_pid() -> int:
        [prices] = [agent for agent in admin.mesh()["agents"] if agent["name"] == "prices"]
        return call(prices["instances"][0]["endpoint"], "pid")

    daemon = admin.status()["pid"]
    try:
        waited = meshd("wait", *state, "--timeout", "20s")
        assert (waited.returncode, waited.stderr) == (0, "ready\n")
        status = meshd("status", *state)
        assert status.returncode == 0
        assert "prices-1" in status.stdout
        assert is_alive(daemon)

        logs = meshd("logs", "prices", *state)
        assert logs.returncode == 0
        assert "prices are open" in logs.stdout

        called = meshd("call", "shop.order", "item=tea", *state)
        assert (called.returncode, called.stdout) == (0, "tea costs 3 EUR\n")
        before = prices_pid()
        restarted = meshd("restart", "prices", *state)
        assert restarted.returncode == 0, restarted.stderr
        assert prices_pid() != before

        stopped = meshd("stop", *state)
        assert stopped.returncode == 0, stopped.stderr
        until(lambda: not is_alive(daemon), 2)
        assert not is_alive(before)
        assert meshd("status", *state).returncode == 4
        # What was printed is still there to be read.
        assert "prices are open" in meshd("logs", "prices", *state).stdout
    finally:
        if is_alive(daemon):
            os.kill(daemon, signal.SIGKILL)


def test_a_mesh_that_cannot_start_says_so_to_who_detaches_it(tmp_path: Path) -> None:
    project = shop(tmp_path)
    (project / "src" / "prices.py").write_text("def price(:\n")
    done = meshd("run", project, "--state-dir", tmp_path / "state", "--detach", seconds=60)
    assert done.returncode == 1
    assert "prices.py" in done.stderr
    assert meshd("status", "--state-dir", tmp_path / "state").returncode == 4
