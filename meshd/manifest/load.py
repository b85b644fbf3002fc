"""From paths to a MeshSpec: find, read, validate, check and fold, with everything that is wrong.

The one way in for every command. A file that cannot be read hides nothing of the others.
"""

import gc
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from meshd.diagnostics.model import Diagnostic, has_errors, in_file_order
from meshd.domain.spec import MeshSpec
from meshd.manifest.documents import Placed
from meshd.manifest.files import find_files, read_bytes
from meshd.manifest.fold import fold
from meshd.manifest.interpolate import Input, Inputs, Interpolation, Mode
from meshd.manifest.model import Document
from meshd.manifest.read import File, read
from meshd.manifest.rules import check
from meshd.manifest.validate import validate


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the manifests say; `mesh` is None if anything is wrong.

    `inputs` are the environment variables and files that they ask for, in file order; `sources`
    are the texts by file name, to show the lines that diagnostics speak of.
    """

    mesh: MeshSpec | None
    diagnostics: tuple[Diagnostic, ...]
    inputs: tuple[Input, ...]
    sources: Mapping[str, str]


def read_manifests(
    paths: Sequence[str | Path],
    *,
    inputs: Inputs,
    project_root: str,
    mode: Mode = Mode.LATER,
    stdin: BinaryIO | None = None,
) -> Manifests:
    """Read everything at the paths; `-` is `stdin`. The project root is an absolute folder."""
    with _garbage_left_alone():
        return _read(paths, inputs, project_root, mode, stdin)


@contextmanager
def _garbage_left_alone() -> Generator[None]:
    """Switch the garbage collector off: trees of many small values make it run for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(
    paths: Sequence[str | Path],
    inputs: Inputs,
    project_root: str,
    mode: Mode,
    stdin: BinaryIO | None,
) -> Manifests:
    found, missing = find_files(paths)
    problems = list(missing)
    files: list[File] = []
    for one in found:
        data = read_bytes(one, stdin)
        if isinstance(data, Diagnostic):
            problems.append(data)
        else:
            files.append(read(data, one.name, one.folder))
    return combined(files, Interpolation(inputs, mode), project_root, problems)


def combined(
    files: Sequence[File],
    interpolation: Interpolation,
    project_root: str,
    problems: Sequence[Diagnostic] = (),
) -> Manifests:
    """Return what files say together; `problems` are those that are known already."""
    found = [*problems, *(problem for file in files for problem in file.diagnostics)]
    documents: list[Placed[Document]] = []
    for file in files:
        for node in file.documents:
            placed, wrong = validate(node, interpolation)
            found += wrong
            if placed is not None:
                documents.append(placed)
    found += interpolation.diagnostics
    found += check(documents, project_root)
    diagnostics = in_file_order(found)
    return Manifests(
        mesh=None if has_errors(diagnostics) else fold(documents, project_root),
        diagnostics=diagnostics,
        inputs=tuple(sorted(interpolation.asked, key=lambda one: one.span)),
        sources={file.source.file: file.source.text for file in files},
    )
