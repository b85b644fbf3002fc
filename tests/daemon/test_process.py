"""What a process of the mesh does with its job, from its first byte to its end."""

# pyright: reportPrivateUsage=false

import asyncio
import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from meshd.callables.project import Project
from meshd.daemon import linux, process
from meshd.daemon.channel import Closed, DaemonEnd, daemon_end, send_sockets
from meshd.daemon.messages import (
    Drain,
    InstanceJob,
    Job,
    Loaded,
    Post,
    Ready,
    Refused,
    RegistryJob,
    Report,
    Serve,
    Withdrawn,
)
from meshd.domain.spec import AgentSpec
from meshd.runtime.client import McpClient
from tests.daemon import meshes

pytestmark = [
    pytest.mark.timeout(20),
    # A process leaves what it has open to its end.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Talk = Callable[[DaemonEnd], Coroutine[Any, Any, list[Report]]]


class Ended(BaseException):
    """Instead of the end of the process."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def end(status: int) -> None:
    raise Ended(status)


def is_parent(daemon: int) -> bool:
    return daemon == os.getppid()


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sample_of_daemon", raising=False)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: None)
    monkeypatch.setattr(process, "die_with", is_parent)
    with meshes.same_process_afterwards():
        yield
    gc.collect()


def listener() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    return bound


def job_of(folder: Path, agent: AgentSpec, port: int) -> InstanceJob:
    meshes.write_source(folder)
    [rooted] = meshes.mesh_of(folder, agent).agents
    endpoint = f"http://127.0.0.1:{port}"
    post = Post(agent=rooted, instance=f"{agent.name}-1", incarnation=1, endpoint=endpoint)
    return InstanceJob(
        name="p-1",
        project=Project(str(folder)),
        posts=(post,),
        environment=meshes.this_environment(),
        grace_seconds=1,
    )


def done(job: Job, bound: socket.socket, talk: Talk, daemon: int | None = None) -> tuple[int, Any]:
    """Do the job in this thread while the daemon's part is played in another one."""
    ours, theirs = socket.socketpair()
    said: list[Any] = []

    async def play() -> None:
        channel = await daemon_end(ours)
        try:
            await channel.give(job)
            said.extend(await talk(channel))
        except Closed:
            said.append("closed")
        finally:
            channel.close()

    send_sockets(ours, [bound.fileno()])
    bound.close()
    player = threading.Thread(target=lambda: asyncio.run(play()))
    player.start()
    with theirs, pytest.raises(Ended) as caught:
        process.run(theirs, os.getppid() if daemon is None else daemon)
    player.join()
    return caught.value.status, said


async def until_closed(channel: DaemonEnd) -> None:
    """Hear nothing but that the process listens no more, until it has ended."""
    with contextlib.suppress(Closed):
        while True:
            assert await channel.report() == Withdrawn(reason="enough")


async def until_drained(channel: DaemonEnd) -> list[Report]:
    said = [await channel.report()]
    if isinstance(said[0], Loaded):
        await channel.order(Serve())
        said.append(await channel.report())
    if isinstance(said[-1], Ready):
        await channel.order(Serve())
        await channel.order(Drain(reason="enough"))
        await until_closed(channel)
    return said


def test_agents_are_loaded_served_and_drained(tmp_path: Path) -> None:
    bound = listener()
    port = bound.getsockname()[1]
    answers: list[object] = []

    async def talk(channel: DaemonEnd) -> list[Report]:
        said = [await channel.report()]
        await channel.order(Serve())
        said.append(await channel.report())
        async with McpClient() as client:
            answers.append(
                await client.call(f"http://127.0.0.1:{port}", "forecast", {"city": "Oslo"})
            )
        await channel.order(Drain(reason="enough"))
        await until_closed(channel)
        return said

    status, said = done(job_of(tmp_path, meshes.weather(), port), bound, talk)
    assert (status, answers) == (0, ["sun in Oslo"])
    loaded, ready = said
    assert list(loaded.signatures["weather"]) == ["forecast", "count"]
    assert loaded.files == (str(tmp_path / "sample_of_daemon.py"),)
    assert list(ready.stages)[-1] == "start the heartbeat loop"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"lifespan": "sample_of_daemon:nothing"}, "M223"),
        ({"lifespan": "sample_of_daemon:broken"}, "M402"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path: Path, more: dict[str, Any], code: str) -> None:
    bound = listener()
    job = job_of(tmp_path, meshes.weather(**more), bound.getsockname()[1])
    status, said = done(job, bound, until_drained)
    assert status == 1
    assert isinstance(said[-1], Refused)
    assert [one.code for one in said[-1].diagnostics] == [code]
    assert said[-1].files == (str(tmp_path / "sample_of_daemon.py"),)


def test_an_order_to_drain_before_it_serves_is_obeyed(tmp_path: Path) -> None:
    bound = listener()

    async def talk(channel: DaemonEnd) -> list[Report]:
        said = [await channel.report()]
        await channel.order(Drain())
        with pytest.raises(Closed):
            await channel.report()
        return said

    status, _ = done(job_of(tmp_path, meshes.weather(), 1), bound, talk)
    assert status == 0


def test_a_registry_is_served_until_it_is_told_to_end(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    job = RegistryJob(host="127.0.0.1", store=store)
    assert done(job, listener(), until_drained) == (0, [Ready()])


def test_sigterm_ends_it_as_an_order_does() -> None:
    async def talk(channel: DaemonEnd) -> list[Report]:
        said = [await channel.report()]
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Closed):
            await channel.report()
        return said

    status, said = done(RegistryJob(host="127.0.0.1", store="memory"), listener(), talk)
    assert (status, said) == (0, [Ready()])


def test_the_child_of_somebody_else_does_nothing() -> None:
    status, _ = done(
        RegistryJob(host="127.0.0.1", store="memory"), listener(), until_drained, daemon=1
    )
    assert status == 1


def test_a_daemon_that_goes_before_the_job_is_known() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs, pytest.raises(Ended) as caught:
        process.run(theirs, os.getppid())
    assert caught.value.status == 1


def test_what_is_no_job_is_told_and_is_an_internal_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(b"\0\0\0\0" + b"\0\0\0\x03abc")
    with ours, theirs, pytest.raises(Ended) as caught:
        process.run(theirs, os.getppid())
    assert caught.value.status == 70
    assert "the process fails" in caplog.text


@pytest.mark.parametrize("how", ["closed", "SIGTERM of another parent"])
async def test_it_ends_at_once_with_all_below_when_the_daemon_is_gone(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    statuses: list[int] = []
    told = asyncio.Event()

    def ended(status: int) -> None:
        statuses.append(status)
        told.set()

    killed: list[set[int]] = []
    monkeypatch.setattr(os, "_exit", ended)
    monkeypatch.setattr(linux, "kill_trees", killed.append)
    ours, theirs = socket.socketpair()
    channel = await process.process_end(theirs)
    waiting = asyncio.ensure_future(process._told_to_end(channel, os.getppid() + 1))
    await asyncio.wait({waiting}, timeout=0.01)
    if how == "closed":
        ours.close()
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(told.wait(), 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    channel.close()
    ours.close()
    assert statuses == [1]
    assert killed == [set()]
