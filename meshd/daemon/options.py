"""What decides how a mesh runs besides its manifests, and who is told what happens to it."""

from dataclasses import dataclass
from typing import Protocol

from meshd.daemon.admin import Administered
from meshd.daemon.generations import Outcome
from meshd.daemon.logs import LogLine
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import MeshSpec
from meshd.errors import DaemonError
from meshd.manifest.addresses import registry_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the user asked for; times in seconds."""

    grace_seconds: float = 10.0
    allow_unresolved: bool = False
    registry_port: int | None = None
    """The port of the mesh's own registry; None: 8000 if it is free, else any."""
    registry: str = ""
    """The registry to join, whatever the manifests say."""
    registry_url: str = ""
    """The registry to join if the manifests name none."""
    node: str = ""
    insecure: bool = False
    verbose: bool = False
    debounce_seconds: float = 1.0

    def registry_of(self, mesh: MeshSpec) -> str:
        """Return the registry to join: flag, else manifest, else environment; or none.

        Raises:
            DaemonError: the flag or the environment names no address.

        """
        for name, url in (("--join", self.registry), ("MCP_MESH_REGISTRY_URL", self.registry_url)):
            if url and (problem := registry_problem(url)):
                message = f"`{name}` is `{url}`, which is no address of a registry: {problem}"
                raise DaemonError(message, "write `http://HOST:PORT`")
        return self.registry or mesh.registry_url or self.registry_url


class Audience(Protocol):
    """Who is told what happens."""

    def begins(self, daemon: Administered) -> None:
        """Hear that the daemon can be asked, and begins to start the mesh."""
        ...

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        """Hear what is worth a look in manifests that can be run."""
        ...

    def ready(self) -> None:
        """Hear that the first generation serves."""
        ...

    def note(self, text: str) -> None:
        """Hear of something that happened to the mesh."""
        ...

    def line(self, line: LogLine) -> None:
        """Hear what an instance printed."""
        ...

    def changed(self) -> None:
        """Hear that the state of something changed."""
        ...

    def applied(self, outcome: Outcome) -> None:
        """Hear what came of a change of the manifests."""
        ...
