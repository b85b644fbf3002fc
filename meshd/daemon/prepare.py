"""Two steps on the way to a mesh that runs: load the callables of agents, and link the mesh.

Each gives all of its diagnostics. Nothing is started here, and FastMCP is not imported.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from meshd.callables.agent import LoadedAgent, load_agent
from meshd.callables.allow import ImportPolicy
from meshd.callables.clashes import clashes
from meshd.callables.find import is_inside
from meshd.callables.load import Loader
from meshd.callables.project import Project, check_roots
from meshd.diagnostics.model import Diagnostic, Severity, has_errors, in_file_order
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import AgentSpec, MeshSpec
from meshd.errors import InvalidInput
from meshd.plan.link import link
from meshd.plan.model import Plan

CODE_UNRESOLVED = "M301"

Signatures = Mapping[str, Mapping[str, ToolSignature]]
"""By agent key and tool name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What came of loading agents that share a process; agents with errors are missing."""

    agents: Mapping[str, LoadedAgent]
    diagnostics: tuple[Diagnostic, ...] = ()
    files: tuple[str, ...] = ()
    """The user's files that were read, and those that failed."""

    @property
    def signatures(self) -> Signatures:
        """The signatures of all tools."""
        return {
            key: {name: body.signature for name, body in agent.tools.items()}
            for key, agent in self.agents.items()
        }


def load(members: Sequence[AgentSpec], project: Project) -> Loading:
    """Import the callables of agents; nothing is imported if they cannot share this process."""
    problems = [
        *(problem for agent in members for problem in _root_problems(agent, project)),
        *clashes(members),
    ]
    if has_errors(problems):
        return Loading(agents={}, diagnostics=in_file_order(problems))
    agents: dict[str, LoadedAgent] = {}
    suspects: set[str] = set()
    before = set(sys.modules)
    for agent in members:
        loader = Loader(ImportPolicy(agent.roots, project.patterns))
        loaded, found = load_agent(agent, loader)
        problems.extend(found)
        suspects |= loader.suspects
        if loaded is not None:
            agents[agent.key] = loaded
    files = suspects | _imported_since(before, {r for agent in members for r in agent.roots})
    return Loading(agents=agents, diagnostics=in_file_order(problems), files=tuple(sorted(files)))


def link_mesh(
    mesh: MeshSpec, signatures: Signatures, *, allow_unresolved: bool
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Bind every need; with `allow_unresolved`, one without a provider is only a warning."""
    flat = {(key, name): one for key, tools in signatures.items() for name, one in tools.items()}
    plan, found = link(mesh, flat)
    if allow_unresolved:
        found = tuple(_softened(diagnostic) for diagnostic in found)
    return plan, found


def require(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics if they are all warnings; raise `InvalidInput` with them if not."""
    if has_errors(diagnostics):
        raise InvalidInput(in_file_order(diagnostics))
    return diagnostics


def _softened(diagnostic: Diagnostic) -> Diagnostic:
    if diagnostic.code != CODE_UNRESOLVED:
        return diagnostic
    return replace(diagnostic, severity=Severity.WARNING)


def _root_problems(agent: AgentSpec, project: Project) -> tuple[Diagnostic, ...]:
    return check_roots(project.root, agent.roots, agent.at("roots"))


def _imported_since(before: set[str], roots: set[str]) -> set[str]:
    """Return the files below the roots that new modules of this process came from."""
    found: set[str] = set()
    for name in set(sys.modules) - before:
        file: object = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and any(is_inside(file, root) for root in roots):
            found.add(file)
    return found
