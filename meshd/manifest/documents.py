"""Valid documents together with the nodes they were made from, and the names they give."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from meshd.manifest.model import AgentDocument, Document, MeshDocument
from meshd.manifest.nodes import Mapping

DocumentT_co = TypeVar("DocumentT_co", bound=Document, covariant=True)


@dataclass(frozen=True, slots=True)
class Placed(Generic[DocumentT_co]):
    """A valid document and where each part of it stands."""

    document: DocumentT_co
    node: Mapping


def agents_of(documents: Iterable[Placed[Document]]) -> list[Placed[AgentDocument]]:
    """Return the documents that describe agents."""
    return [
        Placed(placed.document, placed.node)
        for placed in documents
        if isinstance(placed.document, AgentDocument)
    ]


def meshes_of(documents: Iterable[Placed[Document]]) -> list[Placed[MeshDocument]]:
    """Return the documents that describe the mesh."""
    return [
        Placed(placed.document, placed.node)
        for placed in documents
        if isinstance(placed.document, MeshDocument)
    ]


def effective_name(callable_reference: str, name: str | None) -> str:
    """Return the name of a tool or prompt: its own, or the last word of its callable."""
    return name or callable_reference.rpartition(":")[2].rpartition(".")[2]
