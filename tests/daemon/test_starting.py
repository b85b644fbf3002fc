"""Daemons that do not come up, or are told to end at an awkward time."""

# pyright: reportPrivateUsage=false

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from meshd.clock import SystemClock
from meshd.daemon.daemon import Daemon
from meshd.daemon.lifecycle import run_daemon
from meshd.daemon.linux import descendants
from meshd.daemon.options import RunOptions
from meshd.daemon.source import Source
from meshd.errors import DaemonError, InvalidInput
from tests.daemon import meshes
from tests.daemon.project import PRICES, ProjectFiles

pytestmark = pytest.mark.timeout(60)

OPTIONS = RunOptions(grace_seconds=1, registry_port=0, debounce_seconds=0.05)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFiles:
    files = ProjectFiles(tmp_path / "files")
    files.shop()
    return files


@pytest_asyncio.fixture(autouse=True)
async def _nothing_is_left() -> AsyncGenerator[None, None]:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    yield
    assert descendants([os.getpid()]) == set()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert others == set()
    # The loop's own thread pool keeps nothing open.
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def source(project: ProjectFiles) -> Source:
    return Source([project.folder], (), meshes.this_environment())


async def start(project: ProjectFiles, options: RunOptions = OPTIONS) -> None:
    folder = project.folder.parent
    async with meshes.running(run_daemon, source(project), folder, options):
        pytest.fail("it started")


async def test_a_lifespan_that_raises(project: ProjectFiles) -> None:
    module = "import contextlib\n\n\n@contextlib.asynccontextmanager\nasync def broken():\n"
    project.module("prices", PRICES + module + "    raise OSError('away')\n    yield\n")
    project.prices("lifespan: prices:broken")
    with pytest.raises(InvalidInput) as caught:
        await start(project)
    assert [one.code for one in caught.value.diagnostics] == ["M402"]


async def test_code_that_ends_its_process(project: ProjectFiles) -> None:
    project.module("prices", "import os\n\nos._exit(5)\n")
    with pytest.raises(InvalidInput) as caught:
        await start(project)
    found = caught.value.diagnostics
    words = "`prices-1` ended with status 5 before it was ready"
    assert [(one.code, one.message, one.hint) for one in found] == [("M405", words, "see its log")]


async def test_manifests_that_are_wrong_start_nothing(project: ProjectFiles) -> None:
    project.manifest("prices").write_text("kind: [\n")
    with pytest.raises(InvalidInput):
        await start(project)


async def test_a_registry_port_in_use(project: ProjectFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DaemonError, match=f"127.0.0.1:{port}: it is in use"):
            await start(project, RunOptions(registry_port=port))


async def test_a_stop_while_it_starts(project: ProjectFiles) -> None:
    folder = project.folder.parent
    began = SystemClock().monotonic()
    async with meshes.running(run_daemon, source(project), folder, OPTIONS, until="begins") as mesh:
        status = mesh.daemon.status()
        assert (status["phase"], status["generation"]) == ("starting", 0)
        assert [agent["status"] for agent in status["agents"]] == ["starting", "starting"]
        assert mesh.daemon.tool("prices", "price") is None
        assert (await mesh.daemon.reload())["result"] == "starting"
        os.kill(os.getpid(), signal.SIGINT)
        assert await mesh.ended == signal.SIGINT
    assert SystemClock().monotonic() - began < 4
    assert not mesh.audience.is_ready.is_set()


async def test_a_stop_while_code_is_loaded_and_while_it_restarts(project: ProjectFiles) -> None:
    folder = project.folder.parent
    project.module("prices", "import time\n\ntime.sleep(60)\n" + PRICES)
    async with meshes.running(run_daemon, source(project), folder, OPTIONS, until="begins") as mesh:
        await mesh.audience.until(lambda: len(descendants([os.getpid()])) == 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await mesh.ended == signal.SIGTERM
    project.module("prices", PRICES)
    async with meshes.running(run_daemon, source(project), folder, OPTIONS) as mesh:
        before = descendants([os.getpid()])
        project.module("prices", "import time\n\ntime.sleep(60)\n" + PRICES)
        restarting = asyncio.ensure_future(mesh.daemon.restart("prices"))
        os.kill(mesh.pids()["shop-1"], signal.SIGKILL)
        await mesh.audience.until(lambda: descendants([os.getpid()]) - before)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await mesh.ended == signal.SIGTERM
        await asyncio.wait({restarting}, timeout=5)
        assert restarting.done()
        assert str(restarting.exception()) == "the mesh stops"


async def test_changed_files_are_noticed_and_a_crash_loop_is_slowed_down(
    project: ProjectFiles,
) -> None:
    folder = project.folder.parent
    async with meshes.running(run_daemon, source(project), folder, OPTIONS) as mesh:
        crash = "import os\nimport threading\n\nthreading.Timer(0.2, lambda: os._exit(7)).start()\n"
        before = mesh.pids()["prices-1"]
        project.module("prices", PRICES + crash)
        await mesh.audience.until(lambda: mesh.pids()["prices-1"] != before)
        await mesh.audience.until(lambda: any("crash loop: 3" in n for n in mesh.audience.notes))
        one = mesh.instance("prices-1")
        assert (one["status"], "status 7" in one["reason"]) == ("failed", True)
        project.module("prices", PRICES)
        await mesh.audience.until(lambda: mesh.instance("prices-1")["status"] == "ready")
        assert await mesh.call("prices-1", "price", item="tea") == "3 EUR"
        assert len(descendants([os.getpid()])) <= 5


async def test_a_fork_server_that_dies_while_it_warms(project: ProjectFiles) -> None:
    folder = project.folder.parent
    async with meshes.running(run_daemon, source(project), folder, OPTIONS, until="begins") as mesh:
        assert isinstance(mesh.daemon, Daemon)
        os.kill(mesh.daemon.supervisor._spawner.fork_server, signal.SIGKILL)
        with pytest.raises(DaemonError, match="was killed by SIGKILL before it could fork"):
            await mesh.ended


async def test_a_registry_elsewhere_that_is_away(project: ProjectFiles) -> None:
    folder = project.folder.parent
    with socket.create_server(("127.0.0.1", 0)) as away:
        url = f"http://127.0.0.1:{away.getsockname()[1]}"
    options = RunOptions(grace_seconds=1, registry=url, node="here", debounce_seconds=60)
    project.manifest("prices").unlink()
    async with meshes.running(run_daemon, source(project), folder, options) as mesh:
        assert mesh.daemon.view()["registry"] == {"url": url, "status": "external"}
        assert [one.code for one in mesh.audience.warnings] == ["M301"]
        status = mesh.daemon.status()
        assert [agent["waiting_for"] for agent in status["agents"]] == [["price"]]
        os.kill(mesh.pids()["shop-here-1"], signal.SIGKILL)
        await mesh.audience.until(lambda: "shop-1 is back" in mesh.audience.notes)


async def test_an_instance_that_does_not_end_is_killed(project: ProjectFiles) -> None:
    folder = project.folder.parent
    async with meshes.running(run_daemon, source(project), folder, OPTIONS) as mesh:
        os.kill(mesh.pids()["prices-1"], signal.SIGSTOP)
        assert await mesh.daemon.restart("prices") == ["prices-1"]
        words = "prices-1 does not end, and is killed"
        await mesh.audience.until(lambda: words in mesh.audience.notes)
