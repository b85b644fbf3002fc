"""Every place of a document where a secret may stand."""

from collections.abc import Iterator

from meshd.manifest.documents import Placed, agents_of, meshes_of
from meshd.manifest.interpolate import Interpolation
from meshd.manifest.model import Call, Document, SecretReference
from meshd.manifest.nodes import Step
from meshd.manifest.variables import ask_for_secret

Path = tuple[Step, ...]


def ask_for_secrets(placed: Placed[Document], interpolation: Interpolation) -> None:
    """Note the secrets of the document as inputs of the mesh."""
    for path, secret in _secrets(placed):
        ask_for_secret(secret, placed.node, path, interpolation)


def _secrets(placed: Placed[Document]) -> Iterator[tuple[Path, SecretReference]]:
    defaults: Path = ("spec", "defaults", "call")
    calls: list[tuple[Path, Call]] = [
        (defaults, mesh.document.spec.defaults.call) for mesh in meshes_of([placed])
    ]
    for agent in agents_of([placed]):
        spec = agent.document.spec
        for name, value in spec.env.items():
            if isinstance(value, SecretReference):
                yield ("spec", "env", name), value
        calls.append((defaults, spec.defaults.call))
        for index, tool in enumerate(spec.tools):
            here: Path = ("spec", "tools", index)
            calls.append(((*here, "call"), tool.call))
            calls.extend(
                ((*here, "needs", name, "call"), need.call) for name, need in tool.needs.items()
            )
    for path, call in calls:
        if call.auth is not None:
            yield (*path, "auth", "bearer"), call.auth.bearer
