"""Loads the callables of agents that share a process, with everything that is wrong with them.

Only a process that serves them does this; the daemon imports no user code.
"""

import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from meshd.callables.agent import LoadedAgent, load_agent
from meshd.callables.allow import ImportPolicy
from meshd.callables.clashes import clashes
from meshd.callables.find import is_inside
from meshd.callables.load import Loader
from meshd.callables.project import Project, check_roots
from meshd.clock import SystemClock
from meshd.daemon.link import Signatures
from meshd.diagnostics.model import Diagnostic, has_errors, in_file_order
from meshd.domain.spec import AgentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What came of loading agents that share a process; agents with errors are missing."""

    agents: Mapping[str, LoadedAgent]
    project: Project
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
        return Loading(agents={}, project=project, diagnostics=in_file_order(problems))
    agents: dict[str, LoadedAgent] = {}
    suspects: set[str] = set()
    before = set(sys.modules)
    began = SystemClock().now().timestamp()
    for agent in members:
        loader = Loader(ImportPolicy(agent.roots, project.patterns))
        loaded, found = load_agent(agent, loader)
        problems.extend(found)
        suspects |= loader.suspects
        if loaded is not None:
            agents[agent.key] = loaded
    files = suspects | _imported_since(before, {r for agent in members for r in agent.roots})
    _forget_doubtful_bytecode(files, began)
    return Loading(
        agents=agents,
        project=project,
        diagnostics=in_file_order(problems),
        files=tuple(sorted(files)),
    )


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


def _forget_doubtful_bytecode(files: Iterable[str], began: float) -> None:
    """Remove the compiled form of files that were written in the second of their import, or later.

    Python takes it for that of any text of the same length written within the same second.
    """
    for file in files:
        with contextlib.suppress(OSError):
            if Path(file).stat().st_mtime >= int(began):
                Path(cache_from_source(file)).unlink()
