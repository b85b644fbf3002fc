"""`meshd validate` and `meshd inputs`: what can be said without importing any user code."""

from pathlib import Path

from meshd.callables.project import find_project_root
from meshd.cli.manifests import read
from meshd.cli.output import report, say, show, show_json
from meshd.diagnostics.model import has_errors
from meshd.manifest.interpolate import Input


def validate(paths: list[Path], style: str) -> int:
    """Report everything that is wrong with the manifests."""
    manifests = read(paths, str(find_project_root(paths)))
    report(manifests.diagnostics, manifests.sources, style)
    if has_errors(manifests.diagnostics):
        return 1
    if style == "text":
        mesh = manifests.mesh
        agents = mesh.agents if mesh else ()
        tools = sum(len(agent.tools) for agent in agents)
        say(f"valid: {_count(len(agents), 'agent')}, {_count(tools, 'tool')}")
    return 0


def inputs(paths: list[Path], style: str) -> int:
    """List what the manifests take from outside."""
    manifests = read(paths, str(find_project_root(paths)))
    if style == "json":
        show_json({"inputs": [_as_json(each) for each in manifests.inputs]})
    else:
        for each in manifests.inputs:
            show(_as_text(each))
    report(manifests.diagnostics, manifests.sources, "text")
    return 1 if has_errors(manifests.diagnostics) else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(each: Input) -> dict[str, object]:
    return {
        "kind": each.kind.value,
        "name": each.name,
        "default": each.default,
        "required": each.required,
        "set": each.is_set,
        "file": each.span.file,
        "line": each.span.line,
        "column": each.span.column,
    }


def _as_text(each: Input) -> str:
    state = "set" if each.is_set else "required" if each.required else "default"
    default = f" ({each.default!r})" if state == "default" and each.default is not None else ""
    where = f"{each.span.file}:{each.span.line}:{each.span.column}"
    return f"{each.kind.value:4} {each.name:30} {state + default:24} {where}"
