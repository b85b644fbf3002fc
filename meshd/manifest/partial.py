"""The good part of manifests with errors, so that a mesh goes on where they are wrong.

A document is good if nothing in it is wrong, whatever else is wrong in its file. What concerns
the mesh as such (a clash between documents, its own document) leaves no part to go on with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from meshd.diagnostics.model import Diagnostic, Severity, has_errors
from meshd.domain.spec import MeshSpec
from meshd.domain.together import together_problems
from meshd.manifest.documents import Placed
from meshd.manifest.model import Document, MeshDocument
from meshd.manifest.nodes import Node, Scalar, find
from meshd.manifest.read import File


@dataclass(frozen=True, slots=True)
class Checked:
    """One document with what is wrong with it alone; misread if its YAML is in disorder."""

    node: Node
    placed: Placed[Document] | None
    problems: tuple[Diagnostic, ...]
    is_misread: bool

    @property
    def good(self) -> Placed[Document] | None:
        """The document, if it is in order."""
        return None if self.is_misread or has_errors(self.problems) else self.placed


class Readable(Protocol):
    """The part of a reading that `merged` needs."""

    @property
    def partial(self) -> MeshSpec | None:
        """The mesh of the documents that are in order."""
        ...

    @property
    def bad_files(self) -> frozenset[str]:
        """The files with errors."""
        ...


def merged(manifests: Readable, last: MeshSpec) -> MeshSpec | None:
    """Return the good documents, and the last good version of agents whose files have errors.

    None if the two do not go together, or if the mesh as such is in disorder.
    """
    partial, bad = manifests.partial, manifests.bad_files
    if partial is None:
        return None
    if partial.origin is None and last.origin is not None and last.origin.file in bad:
        return None  # what the mesh's own document said is not known any more
    present = {agent.key for agent in partial.agents}
    kept = (
        agent
        for agent in last.agents
        if agent.key not in present and agent.origin is not None and agent.origin.file in bad
    )
    mesh = replace(partial, agents=(*partial.agents, *kept))
    return None if any(together_problems(mesh.agents)) else mesh


def good_part(documents: Sequence[Checked]) -> list[Placed[Document]] | None:
    """Return the documents that are in order; None if one that speaks for the mesh is not."""
    if any(_is_of_mesh(one) and one.good is None for one in documents):
        return None
    return [good for one in documents if (good := one.good) is not None]


def bad_files(diagnostics: Iterable[Diagnostic]) -> frozenset[str]:
    """Return the names of the files with errors."""
    return frozenset(
        problem.span.file
        for problem in diagnostics
        if problem.severity is Severity.ERROR and problem.span is not None
    )


def is_misread(file: File, index: int) -> bool:
    """Say whether the reader found an error in a document, or between it and the one before."""
    begin = (0, 0) if index == 0 else _end(file.documents[index - 1])
    end = _end(file.documents[index])
    for problem in file.diagnostics:
        if problem.severity is Severity.ERROR:
            if problem.span is None:
                return True
            if begin <= (problem.span.line, problem.span.column) < end:
                return True
    return False


def _end(node: Node) -> tuple[int, int]:
    return node.end.line + 1, node.end.column + 1


def _is_of_mesh(one: Checked) -> bool:
    if one.placed is not None:
        return isinstance(one.placed.document, MeshDocument)
    kind = find(one.node, "kind")
    return isinstance(kind, Scalar) and kind.value == "Mesh"
