"""Meshes made without manifests, and who runs them, for tests of the daemon."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

from meshd.callables.project import Project
from meshd.clock import SystemClock
from meshd.daemon.admin import Administered
from meshd.daemon.client import AdminClient
from meshd.daemon.generations import Outcome
from meshd.daemon.logs import LogLine
from meshd.daemon.options import Audience, RunOptions
from meshd.daemon.source import Reading, Source
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.diagnostics.model import Diagnostic, has_errors
from meshd.domain.spec import AgentSpec, MeshSpec, NeedSpec, ToolSpec
from meshd.manifest.load import Manifests
from meshd.runtime.client import McpClient
from meshd.settings import enter_environment, from_environment

SOURCE = """
import contextlib
import os

def variable(name: str) -> str | None:
    return os.environ.get(name)

def forecast(city):
    if city == "Nowhere":
        raise LookupError("no such city")
    return f"sun in {city}"

async def plan(city, weather, tickets=None):
    return [await weather(city=city), tickets]

def sync_plan(city, weather):
    return weather(city=city)

def count(to: int):
    yield from range(to)

def cities():
    return ["Oslo", "Rome"]

def city(name: str) -> str:
    return f"about {name}"

def picture() -> bytes:
    return b"\\x89PNG"

def brief(city: str, days: int = 1):
    return f"plan {days} days in {city}"

class Cart:
    def __init__(self, limit: int):
        self.limit, self.items, self.is_open = limit, [], False

    def add(self, item: str) -> int:
        if not self.is_open:
            raise RuntimeError("the shop is closed")
        self.items.append(item)
        return len(self.items)

@contextlib.asynccontextmanager
async def shop(cart):
    cart.is_open = True
    yield
    cart.is_open = False

@contextlib.asynccontextmanager
async def broken():
    raise OSError("the database is away")
    yield
"""


def need(parameter: str, capability: str, *, required: bool = False) -> NeedSpec:
    return NeedSpec(parameter=parameter, capability=capability, required=required)


def planner(**more: Any) -> AgentSpec:
    wants_weather = need("weather", "weather.forecast", required=True)
    return AgentSpec(
        name="planner",
        tools=(
            ToolSpec(
                callable="sample_of_daemon:plan",
                name="plan",
                needs=(wants_weather, need("tickets", "tickets")),
            ),
            ToolSpec(
                callable="sample_of_daemon:sync_plan", name="sync_plan", needs=(wants_weather,)
            ),
        ),
        **more,
    )


def weather(**more: Any) -> AgentSpec:
    return AgentSpec(
        name="weather",
        version="1.2.0",
        description="Says how the weather is",
        tools=(
            ToolSpec(
                callable="sample_of_daemon:forecast",
                name="forecast",
                capability="weather.forecast",
                tags=("fast",),
            ),
            ToolSpec(callable="sample_of_daemon:count", name="count"),
        ),
        **more,
    )


def write_source(folder: Path) -> None:
    (folder / "sample_of_daemon.py").write_text(SOURCE, encoding="utf-8")


@dataclass(slots=True)
class FakeSource:
    """Says what it was given to say, and can be given something else."""

    mesh: MeshSpec
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def project(self) -> Project:
        return Project(self.mesh.project_root)

    def read(self) -> Reading:
        whole = None if has_errors(self.diagnostics) else self.mesh
        manifests = Manifests(
            mesh=whole,
            diagnostics=self.diagnostics,
            inputs=(),
            sources=self.texts,
            partial=self.mesh,
        )
        return Reading(self.project, manifests, self.diagnostics, {})


class RecordingAudience:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.daemon: Administered | None = None
        self.warnings: list[Diagnostic] = []
        self.notes: list[str] = []
        self.lines: list[LogLine] = []
        self.outcomes: list[Outcome] = []
        self.begun = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.heard = asyncio.Event()

    def begins(self, daemon: Administered) -> None:
        self.daemon = daemon
        self.begun.set()
        self.heard.set()

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        self.warnings.extend(warnings)
        self.heard.set()

    def ready(self) -> None:
        self.is_ready.set()
        self.heard.set()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.heard.set()

    def line(self, line: LogLine) -> None:
        self.lines.append(line)
        self.heard.set()

    def changed(self) -> None:
        self.heard.set()

    def applied(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.heard.set()

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something holds, looking whenever something is heard."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.heard.clear()
                try:
                    await asyncio.wait_for(self.heard.wait(), 0.05)
                except TimeoutError:
                    continue


class Run(Protocol):
    """`run_in_process`, or `run_daemon`."""

    def __call__(
        self,
        source: Source,
        state: StateDirectory,
        options: RunOptions,
        audience: Audience,
        stages: Stages,
        /,
    ) -> Awaitable[int | None]: ...


@dataclass(slots=True)
class Running:
    """A mesh that runs in this process, or below it."""

    source: Any
    state: StateDirectory
    audience: RecordingAudience
    client: McpClient
    stages: Stages
    ended: "asyncio.Future[int | None]"

    @property
    def daemon(self) -> Administered:
        assert self.audience.daemon is not None
        return self.audience.daemon

    def agent(self, name: str) -> dict[str, Any]:
        """Return an agent as `list` shows it."""
        [found] = [one for one in self.daemon.view()["agents"] if one["name"] == name]
        return found

    def instance(self, identity: str) -> dict[str, Any]:
        """Return an instance as `status` shows it."""
        [found] = [one for one in self.instances() if one["id"] == identity]
        return found

    def instances(self) -> list[dict[str, Any]]:
        """Return all instances as `status` shows them."""
        return [one for agent in self.daemon.status()["agents"] for one in agent["instances"]]

    def pids(self) -> dict[str, int]:
        """Return the processes by instance."""
        return {one["id"]: one["pid"] for one in self.instances()}

    async def call(self, identity: str, tool: str, **arguments: Any) -> Any:
        """Call a tool of an instance."""
        endpoint = self.instance(identity)["endpoint"]
        return await self.client.call(endpoint, tool, arguments, timeout_seconds=10)


@asynccontextmanager
async def running(
    run: Run,
    source: Any,
    folder: Path,
    options: RunOptions | None = None,
    *,
    until: str = "ready",
) -> AsyncGenerator[Running, None]:
    """Run a mesh while the block runs; begin when it is ready, or when it can be asked."""
    audience = RecordingAudience()
    stages = Stages(SystemClock())
    given = options or RunOptions(grace_seconds=1, registry_port=0)
    with StateDirectory(folder / "state").held() as state:
        async with McpClient() as client:
            work = run(cast("Source", source), state, given, audience, stages)
            ended = asyncio.ensure_future(work)
            event = audience.is_ready if until == "ready" else audience.begun
            begun = asyncio.ensure_future(event.wait())
            await asyncio.wait([ended, begun], return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            if ended.done():
                await ended
            try:
                yield Running(source, state, audience, client, stages, ended)
            finally:
                if not ended.done():
                    await asyncio.to_thread(AdminClient(state.path).stop)
                    await ended


def mesh_of(folder: Path, *agents: AgentSpec, **more: Any) -> MeshSpec:
    """Return a mesh of agents whose code is in the folder."""
    rooted = tuple(replace(agent, roots=(str(folder),)) for agent in agents)
    return MeshSpec(name="test", project_root=str(folder), agents=rooted, **more)


def this_environment() -> dict[str, str]:
    """Return the environment of the tests."""
    return dict(from_environment().environment)


@contextmanager
def same_process_afterwards() -> Generator[None, None, None]:
    """Undo what serving in this process does to its environment and its garbage collector."""
    environment, thresholds = this_environment(), gc.get_threshold()
    try:
        yield
    finally:
        enter_environment(environment)
        gc.unfreeze()
        gc.set_threshold(*thresholds)
