"""Rules across documents: names that clash, and what one agent's document contradicts.

In: valid documents with their nodes. Out: diagnostics, with both places of a clash. What an
interpolation supplies later (`Later`) is passed over. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.diagnostics.text import shortened
from meshd.domain.names import agent_key
from meshd.domain.spec import AgentSpec
from meshd.domain.together import together_problems
from meshd.manifest.agent_rules import agent_problems, mesh_problems
from meshd.manifest.documents import Placed, agents_of, effective_name, meshes_of
from meshd.manifest.model import AgentDocument, Document, MeshDocument, Prompt, Tool
from meshd.manifest.nodes import Node, value_span
from meshd.manifest.unsupported import unsupported
from meshd.manifest.values import Later

MAX_PROBLEMS = 100
"""That a document may have before the rest is left out."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A name, and the path to what says it."""

    name: str
    node: Node
    path: tuple[str | int, ...]

    @property
    def span(self) -> Span:
        return value_span(self.node, *self.path)


def problems_within(placed: Placed[Document], project_root: str) -> list[Diagnostic]:
    """Return everything that a document may not say, whatever the others say."""
    found = list(islice(unsupported(placed.document, placed.node), MAX_PROBLEMS))
    for mesh in meshes_of([placed]):
        found += mesh_problems(mesh.document, mesh.node)
    for agent in agents_of([placed]):
        problems = agent_problems(agent.document, agent.node, project_root)
        found += _limited(chain(problems, _offer_clashes(agent)), agent)
    return found


def problems_between(
    documents: Sequence[Placed[Document]], agents: Sequence[AgentSpec]
) -> list[Diagnostic]:
    """Return everything that the documents may not say together; `agents` are what they mean."""
    clashes = chain(
        _one_mesh(meshes_of(documents)),
        _agent_clashes(agents_of(documents)),
        together_problems(agents, _is_later),
    )
    return list(islice(clashes, MAX_PROBLEMS))


def _limited(problems: Iterator[Diagnostic], agent: Placed[AgentDocument]) -> Iterator[Diagnostic]:
    """Yield the first problems of a document; a hostile one may have very many."""
    yield from islice(problems, MAX_PROBLEMS)
    if next(problems, None) is not None:
        message = f"this document breaks more than {MAX_PROBLEMS} rules; not all are shown"
        yield Diagnostic(code="M119", message=message, span=value_span(agent.node, "kind"))


def _one_mesh(meshes: list[Placed[MeshDocument]]) -> Iterator[Diagnostic]:
    for placed in meshes[1:]:
        yield Diagnostic(
            code="M201",
            message="there is more than one document of kind `Mesh`",
            span=value_span(placed.node, "kind"),
            hint="put all settings of the mesh into one",
            related=(Related(value_span(meshes[0].node, "kind"), "the first one"),),
        )


def _agent_clashes(agents: list[Placed[AgentDocument]]) -> Iterator[Diagnostic]:
    named = [
        _Named(agent_key(metadata.name, metadata.namespace), placed.node, ("metadata", "name"))
        for placed in agents
        for metadata in (placed.document.metadata,)
        if not isinstance(metadata.name, Later) and not isinstance(metadata.namespace, Later)
    ]
    return _clashes("M200", "two agents have the name", named, "rename one of the two")


def _offer_clashes(agent: Placed[AgentDocument]) -> Iterator[Diagnostic]:
    spec, node = agent.document.spec, agent.node
    hint = "give one of the two another `name`"
    tools = _effective_names("tools", spec.tools, node)
    yield from _clashes("M202", "two tools of this agent have the name", tools, hint)
    prompts = _effective_names("prompts", spec.prompts, node)
    yield from _clashes("M204", "two prompts of this agent have the name", prompts, hint)
    uris = [
        _Named(resource.uri, node, ("spec", "resources", index, "uri"))
        for index, resource in enumerate(spec.resources)
        if not isinstance(resource.uri, Later)
    ]
    problem = "two resources of this agent have the address"
    yield from _clashes("M203", problem, uris, "remove one of the two")


def _effective_names(
    key: str, offers: Sequence[Tool] | Sequence[Prompt], node: Node
) -> Iterator[_Named]:
    for index, offer in enumerate(offers):
        name = effective_name(offer.callable, offer.name)
        said = "callable" if offer.name is None else "name"
        if not isinstance(offer.name or offer.callable, Later):
            yield _Named(name, node, ("spec", key, index, said))


def _clashes(code: str, problem: str, named: Iterable[_Named], hint: str) -> Iterator[Diagnostic]:
    first: dict[str, _Named] = {}
    for one in named:
        other = first.setdefault(one.name, one)
        if other is not one:
            yield Diagnostic(
                code=code,
                message=f"{problem} `{shortened(one.name)}`",
                span=one.span,
                hint=hint,
                related=(Related(other.span, "first here"),),
            )


def _is_later(value: object) -> bool:
    return isinstance(value, Later)
