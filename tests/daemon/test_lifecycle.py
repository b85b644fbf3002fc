"""A whole daemon in this process, with its fork server, registry and instances below it.

Most tests share one mesh, and leave it as they found it.
"""

# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from meshd.clock import SystemClock
from meshd.daemon.client import AdminClient
from meshd.daemon.daemon import Daemon
from meshd.daemon.lifecycle import run_daemon
from meshd.daemon.linux import children, descendants, is_alive
from meshd.daemon.options import RunOptions
from meshd.daemon.source import Source
from meshd.errors import CallError
from meshd.runtime.client import McpClient
from tests.daemon import meshes
from tests.daemon.meshes import Running
from tests.daemon.project import PRICES, ProjectFiles

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

SECRETS = {"VAULT_TOKEN": "only-for-the-vault", "LATER_TOKEN": "only-for-who-comes-later"}
OPTIONS = RunOptions(grace_seconds=2, registry_port=0, debounce_seconds=60)


def source(project: ProjectFiles, more: Mapping[str, str] = SECRETS) -> Source:
    return Source([project.folder], (), {**meshes.this_environment(), **more})


class Mesh:
    """A running mesh with its files."""

    def __init__(self, running: Running, project: ProjectFiles) -> None:
        self.running = running
        self.project = project
        assert isinstance(running.daemon, Daemon)
        self.daemon = running.daemon
        self.call = running.call
        self.pids = running.pids
        self.instance = running.instance
        self.until = running.audience.until
        self.notes = running.audience.notes

    async def reload(self) -> dict[str, Any]:
        """Apply what the files say now."""
        return await self.daemon.reload()

    async def answers(self, value: str) -> None:
        """Wait until a price is this; a process that was replaced may have answered before."""
        await self.comes_to("prices-1", "price", value)

    async def comes_to(self, identity: str, tool: str, value: str) -> None:
        """Call until the answer is this: wiring follows with the heartbeats."""
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(CallError):
                    if await self.call(identity, tool, item="tea") == value:
                        return
                await SystemClock().sleep(0.02)

    async def wired(self) -> None:
        """Wait until every need is resolved."""
        await self.until(self.daemon.is_wired)

    def written(self) -> dict[Path, str]:
        """Return all files of the project."""
        files = (path for path in self.project.folder.rglob("*") if path.is_file())
        return {path: path.read_text() for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectFiles:
    files = ProjectFiles(tmp_path_factory.mktemp("project") / "files")
    files.shop()
    vault = "env: {TOKEN: {env: VAULT_TOKEN}, MODE: prod}"
    files.agent("vault", "probe:pid", "probe:variable", "probe:initial", "probe:crash", more=vault)
    for name in ("left", "right"):
        files.agent(name, "probe:pid", more="process: duo")
    return files


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(
    project: ProjectFiles, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Mesh, None]:
    folder = tmp_path_factory.mktemp("daemon")
    async with meshes.running(run_daemon, source(project), folder, OPTIONS) as running:
        started = Mesh(running, project)
        below = descendants([os.getpid()])
        yield started
        endpoints = {one["endpoint"] for one in running.instances()}
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not any(map(is_alive, below))
    assert all(refuses(endpoint) for endpoint in endpoints)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # noqa: ASYNC222  (it does not block)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _as_it_was(mesh: Mesh) -> AsyncGenerator[None, None]:
    """Undo what a test did to the files, and apply them."""
    before = mesh.written()
    yield
    for path in mesh.written().keys() - before.keys():
        path.unlink()
    for path, text in before.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    outcome = await mesh.reload()
    assert outcome["diagnostics"] == []
    await mesh.wired()


def initial_environment(process: int) -> str:
    return Path(f"/proc/{process}/environ").read_text(errors="replace")


def refuses(endpoint: str) -> bool:
    host, port = endpoint.removeprefix("http://").split(":")
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, int(port))) != 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def replaced(mesh: Mesh, identity: str, before: int) -> None:
    """Wait until an instance serves in another process."""
    await mesh.until(
        lambda: mesh.pids().get(identity) != before and mesh.instance(identity)["status"] == "ready"
    )


def fork_server(mesh: Mesh) -> int:
    return mesh.daemon.supervisor._spawner.fork_server


def registry(mesh: Mesh) -> int:
    assert mesh.daemon.registry.own is not None
    return mesh.daemon.registry.own.process


async def test_agents_answer_and_call_each_other(mesh: Mesh) -> None:
    await mesh.wired()
    await mesh.comes_to("shop-1", "order", "tea costs 3 EUR")
    pids = mesh.pids()
    assert await mesh.call("vault-1", "pid") == pids["vault-1"]
    assert pids["left-1"] == pids["right-1"]
    assert len(set(pids.values())) == 4
    assert set(pids.values()) <= children(os.getpid())


async def test_the_admin_api_tells_of_the_mesh(mesh: Mesh) -> None:
    admin = AdminClient(mesh.running.state.path)
    assert await asyncio.to_thread(admin.mesh) == mesh.daemon.view()
    status = await asyncio.to_thread(admin.status)
    assert status == mesh.daemon.status()
    assert (status["phase"], status["pid"], status["report"]) == ("running", os.getpid(), "")
    assert {agent["name"]: agent["status"] for agent in status["agents"]} == dict.fromkeys(
        ["left", "prices", "right", "shop", "vault"], "ready"
    )
    assert status["registry"]["status"] == "ready"
    tool = await asyncio.to_thread(admin.tool, "prices", "price")
    assert tool is not None
    assert list(tool["inputSchema"]["properties"]) == ["item"]
    assert await asyncio.to_thread(admin.tool, "prices", "gone") is None
    assert await asyncio.to_thread(admin.restart, "gone") is None
    assert (await asyncio.to_thread(admin.reload))["result"] == "unchanged"
    names = [stage.name for stage in mesh.running.stages.finished]
    assert names == ["collect", "import FastMCP", "configure", "serve", "wire"]
    assert list(mesh.instance("prices-1")["stages"]) == [
        "build the FastMCP server",
        "start the HTTP server",
        "start the heartbeat loop",
    ]


async def test_secrets_are_seen_by_their_agent_alone(mesh: Mesh) -> None:
    assert await mesh.call("vault-1", "variable", name="TOKEN") == "only-for-the-vault"
    assert await mesh.call("vault-1", "variable", name="MODE") == "prod"
    assert await mesh.call("vault-1", "variable", name="VAULT_TOKEN") is None
    assert await mesh.call("vault-1", "variable", name="PATH")
    for process in descendants([os.getpid()]):
        with contextlib.suppress(FileNotFoundError):
            assert "only-for-the-vault" not in initial_environment(process)


async def test_a_killed_instance_comes_back_on_its_port(mesh: Mesh) -> None:
    before, others = mesh.instance("prices-1"), mesh.pids()
    os.kill(before["pid"], signal.SIGKILL)
    await replaced(mesh, "prices-1", before["pid"])
    after = mesh.instance("prices-1")
    assert after["endpoint"] == before["endpoint"]
    assert after["restarts"] == before["restarts"] + 1
    assert {**mesh.pids(), "prices-1": 0} == {**others, "prices-1": 0}
    assert any("prices-1 was killed by SIGKILL; starting it again now" in n for n in mesh.notes)
    assert "prices-1 is back" in mesh.notes
    await mesh.wired()
    await mesh.comes_to("shop-1", "order", "tea costs 3 EUR")


async def test_an_agent_that_ends_its_process_takes_those_that_share_it_along(mesh: Mesh) -> None:
    before = mesh.pids()
    os.kill(before["left-1"], signal.SIGKILL)
    await replaced(mesh, "left-1", before["left-1"])
    after = mesh.pids()
    assert after["left-1"] == after["right-1"]
    assert after["shop-1"] == before["shop-1"]


async def test_a_restart_replaces_the_processes_of_one_agent(mesh: Mesh) -> None:
    before = mesh.pids()
    admin = AdminClient(mesh.running.state.path)
    assert await asyncio.to_thread(admin.restart, "prices") == ["prices-1"]
    after = mesh.pids()
    assert after["prices-1"] != before["prices-1"]
    assert {**after, "prices-1": 0} == {**before, "prices-1": 0}
    await mesh.until(lambda: not is_alive(before["prices-1"]))


async def test_nothing_is_left_of_many_restarts(mesh: Mesh) -> None:
    await mesh.daemon.restart("prices")
    await mesh.until(lambda: len(children(os.getpid())) == 6)
    descriptors, tasks = open_files(), len(asyncio.all_tasks())
    for _ in range(10):
        await mesh.daemon.restart("prices")
    await mesh.until(lambda: len(children(os.getpid())) == 6)
    with contextlib.suppress(TimeoutError):
        await mesh.until(lambda: len(open_files()) <= len(descriptors), 3)
    assert len(open_files()) <= len(descriptors), (descriptors, open_files())
    await mesh.until(lambda: len(asyncio.all_tasks()) <= tasks, 3)


def open_files() -> list[str]:
    found: list[str] = []
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(entry.path))  # noqa: PTH115
    return sorted(found)


async def test_a_changed_file_replaces_the_processes_that_use_it(mesh: Mesh) -> None:
    before = mesh.pids()
    mesh.project.module("prices", PRICES.replace("EUR", "NOK"))
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["diagnostics"]) == ("applied", [])
    assert outcome["changes"]["restarted"] == {"prices": ["a Python file changed"]}
    assert outcome["changes"]["unchanged"] == ["process:duo", "shop", "vault"]
    await mesh.answers("3 NOK")
    assert {**mesh.pids(), "prices-1": 0} == {**before, "prices-1": 0}
    assert list(mesh.running.audience.outcomes[-1].in_words()) == [
        "replaced `prices`: a Python file changed"
    ]


async def test_agents_come_and_go(mesh: Mesh) -> None:
    number = mesh.daemon.status()["generation"]
    mesh.project.agent("third", "probe:pid")
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["changes"]["started"]) == ("applied", ["third"])
    assert await mesh.call("third-1", "pid") == mesh.pids()["third-1"]
    assert mesh.daemon.status()["generation"] == number + 1
    endpoint = mesh.instance("third-1")["endpoint"]

    mesh.project.manifest("third").unlink()
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["changes"]["stopped"]) == ("applied", ["third"])
    assert "third-1" not in mesh.pids()
    assert mesh.daemon.status()["generation"] == number + 2
    assert refuses(endpoint)


async def test_a_bad_document_keeps_its_agent_while_others_apply(mesh: Mesh) -> None:
    before = mesh.pids()
    manifest = mesh.project.manifest("prices")
    manifest.write_text(manifest.read_text().replace("tools:", "tols:"))
    mesh.project.agent("third", "probe:pid")
    outcome = await mesh.reload()
    assert outcome["result"] == "partly applied"
    assert "did you mean `tools`?" in outcome["report"]
    assert mesh.daemon.status()["report"] == outcome["report"]
    assert {name: mesh.pids()[name] for name in before} == before
    assert "third-1" in mesh.pids()


async def test_a_mesh_that_is_wrong_changes_nothing(mesh: Mesh) -> None:
    before, number = mesh.pids(), mesh.daemon.status()["generation"]
    shop = mesh.project.manifest("shop")
    shop.write_text(shop.read_text().replace("capability: price", "capability: prise"))
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["changes"]) == ("invalid", {})
    assert [one["code"] for one in outcome["diagnostics"]] == ["M301"]
    assert mesh.pids() == before
    assert mesh.daemon.status()["generation"] == number
    (mesh.project.folder / "mesh.yaml").write_text("kind: Mesh\napiVersion: meshd.dev/v1\nx: 1\n")
    assert (await mesh.reload())["result"] == "invalid"
    assert mesh.pids() == before


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("def price(item: str -> str:\n    return item\n", "M221", "line 1"),
        ("import os\n\nos._exit(5)\n", "M405", "ended with status 5 before it was ready"),
        ("raise RuntimeError('not today')\n", "M221", "not today"),
        ("def cost(): ...\n", "M223", "price"),
    ],
)
async def test_code_that_cannot_be_loaded_keeps_the_old_one(
    mesh: Mesh, text: str, code: str, words: str
) -> None:
    before = mesh.pids()
    mesh.project.module("prices", text)
    outcome = await mesh.reload()
    assert outcome["result"] == "invalid"
    assert {one["code"] for one in outcome["diagnostics"]} == {code}
    assert words in outcome["report"]
    assert mesh.pids() == before
    assert await mesh.call("prices-1", "price", item="tea") == "3 EUR"


async def test_a_lifespan_that_raises_keeps_the_old_one(mesh: Mesh) -> None:
    before = mesh.pids()
    mesh.project.module(
        "prices",
        PRICES
        + "import contextlib\n\n\n@contextlib.asynccontextmanager\nasync def broken():\n"
        + "    raise OSError('the database is away')\n    yield\n",
    )
    mesh.project.prices("lifespan: prices:broken")
    outcome = await mesh.reload()
    assert outcome["result"] == "invalid"
    assert [one["code"] for one in outcome["diagnostics"]] == ["M402"]
    assert "the database is away" in outcome["report"]
    assert mesh.pids() == before
    await mesh.wired()
    await mesh.comes_to("shop-1", "order", "tea costs 3 EUR")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("env: {TOKEN: {env: NOT_SET_ANYWHERE}}", "M403"),
        ("env: {TOKEN: {file: secrets/none}}", "M403"),
        ("http: {host: 0.0.0.0}", "M404"),
        ("http: {host: 192.0.2.1}", "M404"),
    ],
)
async def test_what_a_process_may_not_have_keeps_the_old_one(
    mesh: Mesh, more: str, code: str
) -> None:
    before = mesh.pids()
    mesh.project.prices(more)
    mesh.project.agent("third", "probe:pid")
    outcome = await mesh.reload()
    assert [one["code"] for one in outcome["diagnostics"]] == [code]
    assert {name: mesh.pids().get(name) for name in before} == before
    assert await mesh.call("prices-1", "price", item="tea") == "3 EUR"


async def test_a_port_in_use_keeps_the_old_one(mesh: Mesh) -> None:
    before = mesh.instance("prices-1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mesh.project.prices(f"http: {{port: {taken.getsockname()[1]}}}")
        outcome = await mesh.reload()
    assert [one["code"] for one in outcome["diagnostics"]] == ["M401"]
    assert mesh.instance("prices-1") == before


async def test_replicas_come_and_go_and_share_a_fixed_port(mesh: Mesh) -> None:
    port = free_port()
    front = f"http://127.0.0.1:{port}"
    mesh.project.prices(f"http: {{port: {port}}}")
    assert (await mesh.reload())["result"] == "applied"
    assert mesh.instance("prices-1")["endpoint"] == front

    mesh.project.prices(f"http: {{port: {port}}}\nreplicas: 3")
    outcome = await mesh.reload()
    assert outcome["result"] == "applied"
    three = [mesh.instance(f"prices-{number}") for number in (1, 2, 3)]
    assert len({one["endpoint"] for one in three}) == 3
    seen = {await mesh.running.client.call(front, "pid", {}) for _ in range(5)}
    assert seen <= {one["pid"] for one in three}

    os.kill(three[1]["pid"], signal.SIGKILL)
    await replaced(mesh, "prices-2", three[1]["pid"])
    assert mesh.instance("prices-1")["pid"] == three[0]["pid"]
    assert await mesh.running.client.call(front, "price", {"item": "tea"}) == "3 EUR"

    mesh.project.prices(f"http: {{port: {port}}}\nreplicas: 0")
    assert (await mesh.reload())["result"] == "applied"
    assert [one for one in mesh.pids() if one.startswith("prices")] == []
    assert refuses(front)

    mesh.project.prices()
    assert (await mesh.reload())["result"] == "applied"
    assert refuses(front)
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_package_named_like_one_of_ours_is_a_clear_error(mesh: Mesh) -> None:
    package = mesh.project.source / "httpx2"
    package.mkdir()
    try:
        (package / "__init__.py").write_text("def get() -> int:\n    return 1\n")
        mesh.project.agent("third", "httpx2:get")
        outcome = await mesh.reload()
        assert [one["code"] for one in outcome["diagnostics"]] == ["M212"]
        mesh.project.manifest("third").unlink()
    finally:
        for file in sorted(package.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        package.rmdir()


async def test_agents_move_between_processes(mesh: Mesh) -> None:
    before = mesh.pids()
    mesh.project.agent("right", "probe:pid", more="process: solo")
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["diagnostics"]) == ("applied", [])
    pids = mesh.pids()
    assert pids["left-1"] != pids["right-1"]
    for name in ("left-1", "right-1"):
        await mesh.until(lambda: not is_alive(before[name]))  # noqa: B023  (it is awaited here)
        assert (
            await mesh.running.client.call(mesh.instance(name)["endpoint"], "pid", {})
            == (pids[name])
        )


async def test_two_reloads_at_once_take_turns(mesh: Mesh) -> None:
    mesh.project.module("prices", PRICES.replace("EUR", "NOK"))
    first, second = await asyncio.gather(mesh.reload(), mesh.reload())
    assert sorted((first["result"], second["result"])) == ["applied", "unchanged"]
    mesh.project.module("prices", PRICES.replace("EUR", "SEK"))
    outcome, restarted = await asyncio.gather(mesh.reload(), mesh.daemon.restart("prices"))
    assert restarted == ["prices-1"]
    assert outcome["result"] in {"applied", "unchanged"}
    await mesh.answers("3 SEK")
    assert len(mesh.daemon.supervisor.replicas["prices"]) == 1


async def test_calls_in_a_row_survive_restarts_and_reloads(mesh: Mesh) -> None:
    failures: list[Exception] = []
    done = asyncio.Event()
    made = 0
    endpoint = mesh.instance("prices-1")["endpoint"]

    async def calls() -> None:
        nonlocal made
        while not done.is_set():
            # Each has a connection of its own: one that is kept may be closed at any time.
            try:
                async with McpClient() as client:
                    await client.call(endpoint, "price", {"item": "tea"})
                made += 1
            except Exception as error:  # noqa: BLE001  (whatever it is, it is a failed call)
                failures.append(error)

    calling = asyncio.ensure_future(calls())
    for _ in range(3):
        await mesh.daemon.restart("prices")
    done.set()
    await calling
    assert failures == []
    assert made > 10


async def test_a_crash_during_a_reload_heals(mesh: Mesh) -> None:
    before = mesh.pids()["prices-1"]
    mesh.project.module("prices", PRICES.replace("EUR", "NOK"))
    reloading = asyncio.ensure_future(mesh.reload())
    os.kill(before, signal.SIGKILL)
    outcome = await reloading
    assert outcome["diagnostics"] == []
    await mesh.until(lambda: mesh.instance("prices-1")["status"] == "ready")
    await mesh.until(lambda: len(children(os.getpid())) == 6)
    await mesh.answers("3 NOK")
    assert len(mesh.daemon.supervisor.replicas["prices"]) == 1


async def test_the_registry_comes_back_on_its_port(mesh: Mesh) -> None:
    url = mesh.daemon.view()["registry"]["url"]
    before = registry(mesh)
    os.kill(before, signal.SIGKILL)
    await mesh.comes_to("shop-1", "order", "tea costs 3 EUR")
    await mesh.until(lambda: any("the registry was killed by SIGKILL" in n for n in mesh.notes))
    await mesh.until(lambda: mesh.daemon.view()["registry"]["status"] == "ready")
    assert mesh.daemon.view()["registry"]["url"] == url
    assert registry(mesh) != before
    assert not refuses(url)


async def test_instances_outlive_the_fork_server_and_another_one_forks(mesh: Mesh) -> None:
    before = mesh.pids()
    server = fork_server(mesh)
    assert len(os.listdir(f"/proc/{server}/task")) == 1  # noqa: PTH208
    assert os.getpgid(server) == server
    os.kill(server, signal.SIGKILL)
    assert await mesh.daemon.restart("prices") == ["prices-1"]
    assert fork_server(mesh) != server
    assert {**mesh.pids(), "prices-1": 0} == {**before, "prices-1": 0}
    assert mesh.pids()["prices-1"] != before["prices-1"]


async def test_a_secret_that_comes_later_is_hidden_too(mesh: Mesh) -> None:
    server = fork_server(mesh)
    assert "only-for-who-comes-later" in initial_environment(server)
    before = mesh.pids()
    mesh.project.agent("late", "probe:variable", more="env: {TOKEN: {env: LATER_TOKEN}}")
    outcome = await mesh.reload()
    assert (outcome["result"], outcome["report"]) == ("applied", "")
    assert await mesh.call("late-1", "variable", name="TOKEN") == "only-for-who-comes-later"
    assert await mesh.call("late-1", "variable", name="LATER_TOKEN") is None
    assert fork_server(mesh) != server
    assert {name: mesh.pids()[name] for name in before} == before
    assert all(map(is_alive, before.values()))
    for process in (fork_server(mesh), mesh.pids()["late-1"]):
        assert "only-for-who-comes-later" not in initial_environment(process)


async def test_sighup_reloads(mesh: Mesh) -> None:
    mesh.project.agent("third", "probe:pid")
    os.kill(os.getpid(), signal.SIGHUP)
    await mesh.until(lambda: "third-1" in mesh.pids())
    await mesh.until(lambda: mesh.running.audience.outcomes[-1].result == "applied")


async def test_what_instances_print_is_kept(mesh: Mesh) -> None:
    mesh.project.module("third", 'print("hello from the module")\n\n\ndef word() -> str: ...\n')
    mesh.project.agent("third", "third:word")
    assert (await mesh.reload())["result"] == "applied"
    lines = mesh.running.audience.lines
    await mesh.until(lambda: any(one.text == "hello from the module" for one in lines))
    text = (mesh.running.state.logs / "third-1.log").read_text()
    assert "hello from the module" in text
