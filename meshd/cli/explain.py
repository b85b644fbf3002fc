"""`meshd explain`: each effective setting of a tool and its place, and whom its needs call."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meshd.callables.project import find_project_root
from meshd.cli.manifests import read
from meshd.cli.output import report, show, show_json
from meshd.cli.target import require_tool, split_target
from meshd.daemon.client import AdminClient
from meshd.diagnostics.model import Span
from meshd.domain.explain import Setting, explain_tool
from meshd.domain.names import agent_key
from meshd.errors import DaemonError
from meshd.plan.link import link
from meshd.plan.routes import NeedRoutes, routes_of


def explain(target: str, paths: list[Path], state_directory: Path, style: str) -> int:
    """Print the settings of a tool, and whom its needs would call."""
    manifests = read(paths, str(find_project_root(paths)))
    mesh = manifests.mesh
    if mesh is None:
        report(manifests.diagnostics, manifests.sources, "text")
        return 1
    agent, tool = split_target(target)
    tools = {spec.key: [each.name for each in spec.tools] for spec in mesh.agents}
    require_tool(tools, agent, tool, where="in these manifests")
    # Without signatures: what a need's calls inherit does not depend on code.
    plan, _ = link(mesh, {})
    calls = {binding.parameter: binding.call for binding in plan.bindings_of(agent, tool)}
    settings = explain_tool(mesh, agent, tool, calls)
    routes = routes_of(plan, agent, tool)
    now = _wired_now(state_directory, agent, tool)
    if style == "json":
        needs = [{**asdict(need), "now": now.get(need.parameter, [])} for need in routes]
        told = [_as_json(setting) for setting in settings]
        show_json({"tool": target, "settings": told, "needs": needs})
        return 0
    width = max((len(setting.name) for setting in settings), default=0)
    values = [json.dumps(setting.value, ensure_ascii=False) for setting in settings]
    value_width = min(max(map(len, values), default=0), 48)
    for setting, value in zip(settings, values, strict=True):
        show(f"{setting.name:{width}}  {value:{value_width}}  {_place(setting.origin)}")
    for need in routes:
        _show_routes(need, now.get(need.parameter))
    return 0


def _show_routes(need: NeedRoutes, now: list[dict[str, Any]] | None) -> None:
    show(f"\n{need.parameter} calls {need.capability}:")
    for number, route in enumerate(need.serving, 1):
        score = f", score {route.score}" if route.score else ""
        show(f"  {number}. {route.provider} {route.version}{score}: {route.way}, {route.reason}")
    for route in need.lost:
        show(f"  -  {route.provider} {route.reason}")
    if not need.serving:
        missing = "; ".join(need.misses) or "no agent of these manifests provides it"
        show(f"  nobody: {missing}")
    for one in now or ():
        show(f"  now: {one['instance']} at {one['endpoint']}")
    if now == []:
        show("  now: nobody")


def _wired_now(state: Path, agent: str, tool: str) -> dict[str, list[dict[str, Any]]]:
    """Return the providers of each need as the running mesh has them; nothing if none runs."""
    try:
        running = AdminClient(state).mesh()
    except DaemonError:
        return {}
    return {
        need["parameter"]: need["providers"]
        for one in running["agents"]
        if agent_key(one["name"], one["namespace"]) == agent
        for need in one["needs"]
        if need["tool"] == tool
    }


def _place(span: Span | None) -> str:
    return "default" if span is None else f"{span.file}:{span.line}"


def _as_json(setting: Setting) -> dict[str, object]:
    origin = setting.origin
    place = None if origin is None else {"file": origin.file, "line": origin.line}
    return {"name": setting.name, "value": setting.value, "origin": place}
