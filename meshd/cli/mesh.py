"""`meshd list` and `meshd stop`, and the table of a mesh that `meshd run` prints as well."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshd.cli.call import key_of
from meshd.cli.output import fail, say, show_json
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.client import AdminClient
from meshd.daemon.stages import Stage

WIDTH_WITHOUT_TERMINAL = 120
DEFAULT_STATE = Path(".meshd")


def show_mesh(state_directory: Path, style: str) -> int:
    """Print the running mesh."""
    mesh = AdminClient(state_directory).mesh()
    if style == "json":
        show_json(mesh)
    else:
        print_mesh(mesh, console())
    return 0


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not wrap by the width of a terminal that is not there."""
    plain = Console(stderr=stderr, highlight=False)
    if plain.is_terminal:
        return plain
    return Console(stderr=stderr, highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def print_mesh(mesh: dict[str, Any], out: Console) -> None:
    """Print agents with their endpoints, tools with their capabilities, and edges."""
    agents = Table("agent", "version", "status", "endpoint", box=None, pad_edge=False)
    tools = Table("tool", "capability", "version", "tags", box=None, pad_edge=False)
    edges = Table("consumer", "need", "", "provider", box=None, pad_edge=False)
    for agent in mesh["agents"]:
        key = key_of(agent)
        for instance in agent["instances"]:
            endpoint = f"{instance['endpoint']}/mcp"
            agents.add_row(escape(key), agent["version"], instance["status"], endpoint)
        for tool in agent["tools"]:
            capability = tool["capability"] or "-"
            tags = escape(" ".join(tool["tags"]))
            tools.add_row(escape(f"{key}.{tool['name']}"), capability, tool["version"], tags)
        for need in agent["needs"]:
            providers = ", ".join(f"{p['agent']}.{p['tool']}" for p in need["providers"])
            consumer = f"{key}.{need['tool']} ({need['parameter']})"
            edges.add_row(
                escape(consumer), need["capability"], "->", escape(providers or need["status"])
            )
    for table in (agents, tools, edges):
        if table.row_count:
            out.print(table)
            out.print()


def announce_mesh(mesh: dict[str, Any], stages: Iterable[Stage], state_directory: Path) -> None:
    """Print the mesh that has just started, how to call it, and how long each stage took."""
    out = console()
    print_mesh(mesh, out)
    out.print(f"call a tool:  {escape(example_call(mesh, state_directory))}")
    times = "   ".join(f"{stage.name} {stage.seconds * 1000:,.0f} ms" for stage in stages)
    out.print(f"started:      {times}")
    out.print("stop:         Ctrl-C, or `meshd stop`")


def example_call(mesh: dict[str, Any], state_directory: Path) -> str:
    """Return a command that calls a tool of the mesh, one with needs if there is any."""
    agents = [(key_of(agent), agent) for agent in mesh["agents"]]
    needing = [f"{key}.{need['tool']}" for key, agent in agents for need in agent["needs"]]
    tools = [f"{key}.{tool['name']}" for key, agent in agents for tool in agent["tools"]]
    tool = next(iter(needing or tools), "AGENT.TOOL")
    state = "" if state_directory == DEFAULT_STATE else f" --state-dir {state_directory}"
    return f"meshd call {tool} KEY=VALUE…{state}"


def stop(state_directory: Path, timeout: str) -> int:
    """Ask the daemon to stop and wait for its end."""
    timeout_seconds = seconds(timeout, "--timeout")
    pid = AdminClient(state_directory).stop()
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_seconds
    while is_alive(pid):
        if clock.monotonic() > deadline:
            fail(f"process {pid} has not ended within {timeout}")
            return 3
        asyncio.run(clock.sleep(0.05))
    say(f"stopped (process {pid})")
    return 0


def is_alive(pid: int) -> bool:
    """Say whether a process lives (one that has ended but was not waited for does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return not Path("/proc/self").exists()
    return state != "Z"
