"""`meshd list` and `meshd stop`, and the table of a mesh that `meshd run` prints as well."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshd.cli.output import fail, say, show_json
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.admin import Administered
from meshd.daemon.client import AdminClient
from meshd.daemon.stages import Stage
from meshd.domain.names import agent_key

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
        key = agent_key(agent["name"], agent["namespace"])
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


def announce_mesh(mesh: Administered, stages: Iterable[Stage], state_directory: Path) -> None:
    """Print the mesh that has just started, how to call it, and how long each stage took."""
    out = console()
    view = mesh.view()
    print_mesh(view, out)
    times = "   ".join(f"{stage.name} {stage.seconds * 1000:,.0f} ms" for stage in stages)
    state = "" if state_directory == DEFAULT_STATE else f" --state-dir {state_directory}"
    for line in (
        f"started:      {times}",
        f"call a tool:  {example_call(mesh, view)}{state}",
        f"stop:         Ctrl-C, or `meshd stop{state}`",
    ):
        out.print(escape(line), soft_wrap=True)


def example_call(mesh: Administered, view: dict[str, Any]) -> str:
    """Return a command that calls the tool with most needs, with its required arguments."""
    most, command = -1, "meshd call AGENT.TOOL"
    for agent in view["agents"]:
        key = agent_key(agent["name"], agent["namespace"])
        for tool in agent["tools"]:
            needs = sum(need["tool"] == tool["name"] for need in agent["needs"])
            if needs > most:
                found = mesh.tool(key, tool["name"]) or {}
                required = found.get("inputSchema", {}).get("required", ())
                arguments = "".join(f" {name}={name.upper()}" for name in required)
                most, command = needs, f"meshd call {key}.{tool['name']}{arguments}"
    return command


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
    """Say whether a process lives; one that has ended but was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
