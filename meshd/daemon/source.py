"""Where a mesh comes from: the manifests at some paths, read as often as they change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from meshd.callables.project import FILE_NAME, Project, read_project
from meshd.clock import Clock, SystemClock
from meshd.daemon.watch import fingerprint_since
from meshd.diagnostics.model import Diagnostic, in_file_order
from meshd.manifest.files import STDIN, ProjectInputs
from meshd.manifest.interpolate import Mode
from meshd.manifest.load import Manifests, read_manifests


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading found; `diagnostics` are those of the project and of the manifests."""

    project: Project
    manifests: Manifests
    diagnostics: tuple[Diagnostic, ...]
    watched: Mapping[Path, str]
    """The files and folders whose change asks for another reading, as they were."""


@dataclass(slots=True)
class Source:
    """Paths of manifests, with what else decides what they mean.

    Standard input is read once, and remembered.
    """

    paths: Sequence[Path]
    allow: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: BinaryIO | None = None
    clock: Clock = field(default_factory=SystemClock)
    texts: Mapping[str, str] = field(default_factory=dict[str, str], init=False)
    """The manifests that were last read, by file, to show the lines that diagnostics speak of."""
    project: Project = field(default=Project(""), init=False)
    """The project as it was last read."""
    _remembered: bytes | None = field(default=None, init=False)

    def read(self) -> Reading:
        """Read everything anew; an input that is not there is an error."""
        began = self.clock.now().timestamp()
        project, found = read_project(self.paths, self.allow)
        manifests = read_manifests(
            self.paths,
            inputs=ProjectInputs(self.environment, project.root),
            project_root=project.root,
            mode=Mode.NOW,
            stdin=self._stdin(),
        )
        self.texts, self.project = manifests.sources, project
        watched = (*manifests.watch, Path(project.root, FILE_NAME))
        return Reading(
            project,
            manifests,
            in_file_order((*found, *manifests.diagnostics)),
            fingerprint_since(watched, began),
        )

    def _stdin(self) -> BinaryIO | None:
        if self._remembered is None and self.stdin is not None and Path(STDIN) in self.paths:
            self._remembered = self.stdin.read()
        return None if self._remembered is None else BytesIO(self._remembered)
