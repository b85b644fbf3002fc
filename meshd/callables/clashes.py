"""Agents that share a process but not their import roots, and both have a module of one name.

Python knows one module of a name in a process, so the second agent would silently get the code of
the first. Only modules that are named by references or imported already count. Folders of one name
that hold no code of their own are one package to Python, so only the modules in them can clash.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from meshd.callables.find import find_module
from meshd.callables.references import Reference, read_reference
from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.domain.spec import AgentSpec, ToolSpec


def clashes(agents: Sequence[AgentSpec]) -> tuple[Diagnostic, ...]:
    """Return an error for each module name that two agents use for different files."""
    if len({agent.roots for agent in agents}) < 2:
        return ()
    used = [(agent, _used(agent)) for agent in agents]
    found: list[Diagnostic] = []
    for (first, first_used), (second, second_used) in itertools.combinations(used, 2):
        clashing: set[str] = set()
        for name in sorted(first_used.keys() | second_used.keys()):
            ours, theirs = find_module(name, first.roots), find_module(name, second.roots)
            if name.rpartition(".")[0] in clashing:
                clashing.add(name)
            elif ours and theirs and _differ(ours, theirs):
                clashing.add(name)
                spans = (
                    first_used.get(name) or first.origin,
                    second_used.get(name) or second.origin,
                )
                found.append(_clash(name, (first, second), (ours, theirs), spans))
    return tuple(found)


def _differ(ours: Path, theirs: Path) -> bool:
    return ours.resolve() != theirs.resolve() and not (ours.is_dir() and theirs.is_dir())


def _clash(
    name: str,
    agents: tuple[AgentSpec, AgentSpec],
    files: tuple[Path, Path],
    spans: tuple[Span | None, Span | None],
) -> Diagnostic:
    first, second = agents
    related = (Related(spans[0], f"`{first.key}` has {files[0]}"),) if spans[0] else ()
    return Diagnostic(
        code="M216",
        message=f"agents `{first.key}` and `{second.key}` both have a module `{name}`",
        span=spans[1],
        label=f"`{second.key}` has {files[1]}",
        hint=f"rename one of the two `{name}`",
        related=related,
    )


def _used(agent: AgentSpec) -> Mapping[str, Span | None]:
    """Return the modules that the agent uses from its roots, with a place for each."""
    names: dict[str, Span | None] = {}
    for text, span in references(agent):
        reference = read_reference(text)
        if isinstance(reference, Reference) and find_module(reference.top, agent.roots):
            for name in itertools.accumulate(reference.module.split("."), "{}.{}".format):
                names.setdefault(name, span)
    folders = [folder for root in agent.roots for folder in (Path(root), Path(root).resolve())]
    for name, module in list(sys.modules.items()):
        file: object = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        if any(Path(file).is_relative_to(folder) for folder in folders):
            names.setdefault(name, None)
    return names


def references(agent: AgentSpec) -> Iterator[tuple[str, Span | None]]:
    """Yield every reference of an agent to a callable or a type, with its place."""
    if agent.lifespan is not None:
        yield agent.lifespan, agent.at("lifespan")
    for entry in agent.objects:
        yield entry.class_reference, entry.at("class_reference")
    for offered in (*agent.resources, *agent.prompts):
        yield offered.callable, offered.at("callable")
    for tool in agent.tools:
        yield from tool_references(tool)


def tool_references(tool: ToolSpec) -> Iterator[tuple[str, Span | None]]:
    """Yield every reference of a tool to a callable or a type, with its place."""
    yield tool.callable, tool.at("callable")
    if tool.result.type is not None:
        yield tool.result.type, tool.result.at("type")
    for parameter in tool.parameters:
        if parameter.type is not None:
            yield parameter.type, parameter.at("type")
    for need in tool.needs:
        if need.expects is not None:
            yield need.expects, need.at("expects")
