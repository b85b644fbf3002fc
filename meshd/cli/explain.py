"""`meshd explain`: each effective setting of a tool, and the place that set it."""

import json
from pathlib import Path

from meshd.callables.project import find_project_root
from meshd.cli.manifests import read
from meshd.cli.output import report, show, show_json
from meshd.cli.target import require_tool, split_target
from meshd.diagnostics.model import Span
from meshd.domain.explain import Setting, explain_tool
from meshd.plan.link import link


def explain(target: str, paths: list[Path], style: str) -> int:
    """Print the settings of a tool."""
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
    if style == "json":
        show_json({"tool": target, "settings": [_as_json(setting) for setting in settings]})
        return 0
    width = max((len(setting.name) for setting in settings), default=0)
    values = [json.dumps(setting.value, ensure_ascii=False) for setting in settings]
    value_width = min(max(map(len, values), default=0), 48)
    for setting, value in zip(settings, values, strict=True):
        show(f"{setting.name:{width}}  {value:{value_width}}  {_place(setting.origin)}")
    return 0


def _place(span: Span | None) -> str:
    return "default" if span is None else f"{span.file}:{span.line}"


def _as_json(setting: Setting) -> dict[str, object]:
    origin = setting.origin
    place = None if origin is None else {"file": origin.file, "line": origin.line}
    return {"name": setting.name, "value": setting.value, "origin": place}
