"""Meshes made without manifests, for tests of the daemon."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshd.callables.project import Project
from meshd.clock import SystemClock
from meshd.daemon.lifecycle import RunningMesh, run_mesh
from meshd.daemon.prepare import Prepared, link_mesh, load, require
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.domain.spec import AgentSpec, MeshSpec, NeedSpec, ToolSpec

SOURCE = """
import contextlib

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


def prepared(folder: Path, *agents: AgentSpec, allow_unresolved: bool = False) -> Prepared:
    mesh = MeshSpec(name="test", project_root=str(folder), agents=agents)
    loaded, found = load(mesh, Project(str(folder)))
    require(found)
    plan, found = link_mesh(mesh, loaded, allow_unresolved=allow_unresolved)
    require(found)
    return Prepared(mesh=mesh, plan=plan, agents=loaded)


async def serve(
    folder: Path, mesh: Prepared, on_ready: Callable[[RunningMesh], None]
) -> int | None:
    with StateDirectory(folder / "state").held() as state:
        return await run_mesh(
            mesh, state, Stages(SystemClock()), grace_seconds=1, on_ready=on_ready
        )
