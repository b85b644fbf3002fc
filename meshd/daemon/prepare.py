"""The path from manifests to a plan and live callables: read, load, link; each stage timed.

Every stage gives all of its diagnostics; the first one with errors ends the way. Nothing is
started here, and FastMCP is not imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshd.callables.agent import LoadedAgent, load_agent
from meshd.callables.allow import ImportPolicy
from meshd.callables.clashes import clashes
from meshd.callables.load import Loader
from meshd.callables.project import Project, check_roots
from meshd.diagnostics.model import Diagnostic, Severity, has_errors, in_file_order
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import AgentSpec, MeshSpec
from meshd.errors import InvalidInput
from meshd.plan.link import link
from meshd.plan.model import Plan

CODE_UNRESOLVED = "M301"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A mesh that can be started: its plan and its agents' live objects, by agent key."""

    mesh: MeshSpec
    plan: Plan
    agents: Mapping[str, LoadedAgent]
    warnings: tuple[Diagnostic, ...] = ()


def load(mesh: MeshSpec, project: Project) -> tuple[dict[str, LoadedAgent], tuple[Diagnostic, ...]]:
    """Import every agent's callables; agents with errors are missing from the result.

    Nothing is imported if the agents cannot share this process.
    """
    problems = [
        *(problem for agent in mesh.agents for problem in _root_problems(agent, project)),
        *clashes(mesh.agents),
    ]
    if has_errors(problems):
        return {}, in_file_order(problems)
    agents: dict[str, LoadedAgent] = {}
    for agent in mesh.agents:
        loader = Loader(ImportPolicy(agent.roots, project.patterns))
        loaded, found = load_agent(agent, loader)
        problems.extend(found)
        if loaded is not None:
            agents[agent.key] = loaded
    return agents, in_file_order(problems)


def link_mesh(
    mesh: MeshSpec, agents: Mapping[str, LoadedAgent], *, allow_unresolved: bool
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Bind every need; with `allow_unresolved`, one without a provider is only a warning."""
    signatures: dict[tuple[str, str], ToolSignature] = {
        (key, name): body.signature
        for key, agent in agents.items()
        for name, body in agent.tools.items()
    }
    plan, found = link(mesh, signatures)
    if allow_unresolved:
        found = tuple(_softened(diagnostic) for diagnostic in found)
    return plan, found


def require(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics if they are all warnings; raise `InvalidInput` with them if not."""
    if has_errors(diagnostics):
        raise InvalidInput(diagnostics)
    return diagnostics


def _softened(diagnostic: Diagnostic) -> Diagnostic:
    if diagnostic.code != CODE_UNRESOLVED:
        return diagnostic
    return replace(diagnostic, severity=Severity.WARNING)


def _root_problems(agent: AgentSpec, project: Project) -> tuple[Diagnostic, ...]:
    return check_roots(project.root, agent.roots, agent.at("roots"))
