"""Real processes that run a tool's calls: what these may raise, do and suffer."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from meshd.callables.dump import dump
from meshd.callables.project import Project
from meshd.clock import SystemClock
from meshd.daemon.linux import is_alive
from meshd.daemon.prepare import load
from meshd.daemon.tool_link import first_environment, narrowed
from meshd.daemon.wiring import parts_of, tool_processes_of
from meshd.domain.spec import AgentSpec, NeedSpec, ObjectSpec, SecretSpec, ToolSpec
from meshd.errors import ArgumentsRejected, CallTimedOut, ResultRejected, ToolFailed, Unavailable
from meshd.runtime.agent import conduct_of
from meshd.runtime.context import CallContext, current_call
from meshd.runtime.edge import Edge
from meshd.runtime.tool import RunningTool
from meshd.runtime.upstreams import InProcessUpstream
from meshd.runtime.workers import Workers
from tests.runtime.fakes import binding

pytestmark = pytest.mark.timeout(30)
CODE = """
import ctypes, os, subprocess, time

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")

class Cart:
    def __init__(self, limit: int):
        self.limit = limit

    def add(self, number: int) -> int:
        return min(number, self.limit)

def run(how: str, value: object = None) -> object:
    match how:
        case "pid":
            return os.getpid()
        case "same":
            return value
        case "raise":
            raise LookupError("gone")
        case "odd":
            raise Odd(1, 2)
        case "exit":
            raise SystemExit(3)
        case "object":
            return object()
        case "die":
            os._exit(7)
        case "crash":
            ctypes.string_at(0)
        case "hang":
            child = subprocess.Popen(["sleep", "60"])
            with open(value, "w") as file:
                file.write(f"{os.getpid()} {child.pid}")
            time.sleep(60)
        case "environment":
            return os.environ.get("SECRET")

def count(number: int):
    for each in range(number):
        yield each

def ask(number: int, other) -> list:
    return [other(number=number), other is None]
"""


class Running:
    """An agent whose tools run in processes."""

    def __init__(self, folder: Path, **more: Any) -> None:
        project = Project(str(folder.parent))
        spec = AgentSpec(
            name="here",
            roots=(str(folder),),
            objects=(ObjectSpec(name="cart", class_reference="odd:Cart", arguments={"limit": 3}),),
            tools=(
                ToolSpec(callable="odd:run", name="run", execution="process", **more),
                ToolSpec(callable="odd:count", name="count", execution="process"),
                ToolSpec(callable="cart.add", name="add", execution="process"),
                ToolSpec(
                    callable="odd:ask",
                    name="ask",
                    execution="process",
                    needs=(NeedSpec(parameter="other", capability="double"),),
                ),
            ),
        )
        loading = load([spec], project)
        assert loading.diagnostics == ()
        loaded = loading.agents["here"]
        self.processes = tool_processes_of(loaded, loading.project, SystemClock())
        parts = parts_of(loaded, self.processes)
        edge = Edge(binding(), None, dump, SystemClock())
        edge.wire((InProcessUpstream("there.double", double),))
        self.tools = {
            tool.name: RunningTool(
                "here",
                tool.name,
                parts.bodies[tool.name],
                {"other": edge} if tool.needs else {},
                Workers(),
                conduct_of(tool, parts.remotes[tool.name]),
            )
            for tool in spec.tools
        }

    async def run(self, how: str, value: object = None) -> Any:
        return await self.tools["run"].call({"how": how, "value": value})


async def double(arguments: dict[str, Any]) -> Any:
    if arguments["number"] < 0:
        raise ToolFailed("too little", provider="there.double")
    return arguments["number"] * 2


@contextlib.asynccontextmanager
async def running(folder: Path, **more: Any) -> AsyncGenerator[Running]:
    source = folder / "src"
    source.mkdir()
    (source / "odd.py").write_text(CODE)
    agent = Running(source, **more)
    try:
        yield agent
    finally:
        for processes in agent.processes.values():
            await processes.close()


def first_seen(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def gone(*pids: int) -> bool:
    for _ in range(200):
        if not any(map(is_alive, pids)):
            return True
        await SystemClock().sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test has imported."""
    import sys  # noqa: PLC0415

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "odd", raising=False)


async def test_results_and_errors_are_those_of_other_tools(tmp_path: Path) -> None:
    async with running(tmp_path, concurrency_max=1) as agent:
        first = await agent.run("pid")
        assert first != os.getpid()
        values: list[Any] = [None, "😀 ü", [1.5, {"a": []}], 2**80, "x" * 3_000_000]
        for value in values:
            assert await agent.run("same", value) == value
        for how, kind, text in (
            ("raise", ToolFailed, "LookupError: gone"),
            ("odd", ToolFailed, "Odd: 1 2"),
            ("exit", ToolFailed, "SystemExit: 3"),
            ("object", ResultRejected, "`here.run` ran, but `result` is of type `object`"),
        ):
            with pytest.raises(kind, match=text) as caught:
                await agent.run(how)
            assert caught.value.provider == "here.run"
        with pytest.raises(ArgumentsRejected, match="`wrong` is not a parameter"):
            await agent.tools["run"].call({"how": "pid", "wrong": 1})
        assert await agent.run("pid") == first
    assert await gone(first)


async def test_a_process_that_dies_fails_its_own_call_and_is_replaced(tmp_path: Path) -> None:
    async with running(tmp_path, concurrency_max=2) as agent:
        other = asyncio.ensure_future(
            agent.tools["run"].call({"how": "hang", "value": str(tmp_path / "pids")})
        )
        first = await agent.run("pid")
        with pytest.raises(ToolFailed, match="its process ended with status 7") as caught:
            await agent.run("die")
        assert caught.value.provider == "here.run"
        second = await agent.run("pid")
        with pytest.raises(ToolFailed, match="its process was killed by SIGSEGV"):
            await agent.run("crash")
        os.kill(third := await agent.run("pid"), signal.SIGKILL)
        assert await gone(third)
        assert len({first, second, third, await agent.run("pid")}) == 4
        assert not other.done()
        other.cancel()


async def test_a_call_that_is_cancelled_or_too_late_is_killed_with_all_it_started(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, concurrency_max=1) as agent:
        await agent.run("pid")
        for limit in (None, 0.5):
            notes = tmp_path / f"pids-{limit}"
            token = current_call.set(
                CallContext(deadline=limit and SystemClock().monotonic() + limit)
            )
            call = asyncio.ensure_future(agent.run("hang", str(notes)))
            current_call.reset(token)
            while not notes.exists() or not notes.read_text():
                await SystemClock().sleep(0.01)
            if limit is None:
                call.cancel()
            with pytest.raises(asyncio.CancelledError if limit is None else CallTimedOut):
                await call
            assert await gone(*map(int, notes.read_text().split()))
            assert await agent.run("same", 1) == 1


async def test_generators_methods_and_needs_work(tmp_path: Path) -> None:
    async with running(tmp_path) as agent:
        seen: list[Any] = []

        async def on_chunk(number: int, chunk: Any) -> None:
            seen.append((number, chunk))

        assert await agent.tools["count"].call({"number": 3}, on_chunk=on_chunk) == [0, 1, 2]
        assert seen == [(1, 0), (2, 1), (3, 2)]
        assert await agent.tools["count"].call({"number": 0}) == []
        assert await agent.tools["add"].call({"number": 9}) == 3
        assert await agent.tools["ask"].call({"number": 4}) == [8, False]
        with pytest.raises(ToolFailed, match=r"^`there.double` failed: too little$"):
            await agent.tools["ask"].call({"number": -1})
        assert await agent.tools["ask"].call({"number": 5}) == [10, False]


async def test_code_that_does_not_load_any_more_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as agent:
        (tmp_path / "src" / "odd.py").write_text("raise OSError('no disk')")
        with pytest.raises(Unavailable) as caught:
            await agent.run("pid")
        assert str(caught.value).startswith("`here.run` has no process to run in: ")
        assert "no disk" in str(caught.value)
        (tmp_path / "src" / "odd.py").write_text(CODE)
        assert await agent.run("same", 1) == 1


async def test_the_environment_comes_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden words")
    async with running(tmp_path) as agent:
        assert await agent.run("environment") == "hidden words"
        assert b"hidden words" not in first_seen(await agent.run("pid"))


def test_only_what_python_needs_is_in_the_first_environment() -> None:
    agent = AgentSpec(name="a", env={"PYTHONKEY": SecretSpec(env="X"), "PYTHONUTF8": "1"})
    environment = {"PATH": "/bin", "PYTHONKEY": "s", "PYTHONUTF8": "1", "TOKEN": "s", "LC_ALL": "C"}
    assert first_environment(environment, agent) == {
        "PATH": "/bin",
        "PYTHONUTF8": "1",
        "LC_ALL": "C",
    }


def test_a_process_loads_only_its_tool() -> None:
    cart = ObjectSpec(name="cart", class_reference="m:Cart")
    other = ObjectSpec(name="other", class_reference="m:Other")
    add = ToolSpec(callable="cart.add", name="add")
    free = ToolSpec(callable="m:free", name="free")
    agent = AgentSpec(name="a", objects=(cart, other), tools=(add, free), lifespan="m:life")
    assert narrowed(agent, "add") == AgentSpec(name="a", objects=(cart,), tools=(add,))
    assert narrowed(agent, "free") == AgentSpec(name="a", tools=(free,))
