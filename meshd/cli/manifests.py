"""Reading manifests with the environment, files and standard input of the command."""

import sys
from collections.abc import Sequence
from pathlib import Path

from meshd.manifest.files import ProjectInputs
from meshd.manifest.interpolate import Mode
from meshd.manifest.load import Manifests, read_manifests
from meshd.settings import from_environment


def read(paths: Sequence[Path], project_root: str, *, now: bool = False) -> Manifests:
    """Read the manifests; with `now`, an input that is not there is an error."""
    return read_manifests(
        paths,
        inputs=ProjectInputs(from_environment().environment, project_root),
        project_root=project_root,
        mode=Mode.NOW if now else Mode.LATER,
        stdin=sys.stdin.buffer,
    )
