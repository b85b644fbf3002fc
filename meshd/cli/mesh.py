"""`meshd list`, and the table of a mesh that `meshd run` prints as well."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from meshd.cli.output import show_json
from meshd.daemon.client import AdminClient
from meshd.daemon.stages import Stage
from meshd.domain.names import agent_key

WIDTH_WITHOUT_TERMINAL = 120
DEFAULT_STATE = Path(".meshd")

FindTool = Callable[[str, str], Mapping[str, Any] | None]
"""Returns the schemas of an agent's tool."""


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
        instances = agent["instances"]
        if not instances:
            agents.add_row(escape(key), agent["version"], agent["status"], "-")
        for instance in instances:
            name = key if len(instances) == 1 else instance["id"]
            endpoint = f"{instance['endpoint']}/mcp"
            agents.add_row(escape(name), agent["version"], instance["status"], endpoint)
        for tool in agent["tools"]:
            capability = tool["capability"] or "-"
            tags = escape(" ".join(tool["tags"]))
            tools.add_row(escape(f"{key}.{tool['name']}"), capability, tool["version"], tags)
        for need in agent["needs"]:
            # Instances of one agent are one provider.
            found = dict.fromkeys(f"{p['agent']}.{p['tool']}" for p in need["providers"])
            providers = ", ".join(found)
            consumer = f"{key}.{need['tool']} ({need['parameter']})"
            edges.add_row(
                escape(consumer), need["capability"], "->", escape(providers or need["status"])
            )
    for table in (agents, tools, edges):
        if table.row_count:
            out.print(table)
            out.print()


def announce_mesh(
    view: dict[str, Any],
    tool: FindTool,
    state_directory: Path,
    *,
    stages: Iterable[Stage] = (),
    process: str = "",
) -> None:
    """Print the mesh that has just started, how long each stage took, and how to go on.

    `process` says where it runs, unless it is this process, which Ctrl-C stops as well.
    """
    out = console()
    print_mesh(view, out)
    times = "   ".join(f"{stage.name} {stage.seconds * 1000:,.0f} ms" for stage in stages)
    state = state_option(state_directory)
    for name, text in (
        ("started", times),
        ("running", process),
        ("call a tool", f"{example_call(view, tool)}{state}"),
        ("stop", f"{'' if process else 'Ctrl-C, or '}`meshd stop{state}`"),
    ):
        if text:
            out.print(escape(f"{name + ':':13} {text}"), soft_wrap=True)


def state_option(state_directory: Path) -> str:
    """Return the option that names the state directory, unless it is the default."""
    return (
        ""
        if state_directory == DEFAULT_STATE
        else f" --state-dir {shlex.quote(str(state_directory))}"
    )


def example_call(view: dict[str, Any], tool: FindTool) -> str:
    """Return a command that calls the tool with most needs, with its required arguments."""
    most, command = -1, "meshd call AGENT.TOOL"
    for agent in view["agents"]:
        key = agent_key(agent["name"], agent["namespace"])
        for each in agent["tools"]:
            needs = sum(need["tool"] == each["name"] for need in agent["needs"])
            if needs > most:
                found = tool(key, each["name"]) or {}
                required = found.get("inputSchema", {}).get("required", ())
                arguments = "".join(f" {name}={name.upper()}" for name in required)
                most, command = needs, f"meshd call {key}.{each['name']}{arguments}"
    return command
