"""From paths to a MeshSpec: find, read, validate, check and fold, with everything that is wrong.

The one way in for every command. A file that cannot be read hides nothing of the others.
"""

import gc
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from meshd.diagnostics.model import Diagnostic, has_errors, in_file_order
from meshd.domain.spec import MeshSpec
from meshd.manifest.files import STDIN, find_files, read_bytes
from meshd.manifest.fold import fold
from meshd.manifest.interpolate import Input, Inputs, Interpolation, Mode
from meshd.manifest.partial import Checked, bad_files, good_part, is_misread
from meshd.manifest.read import File, read
from meshd.manifest.rules import problems_between, problems_within
from meshd.manifest.secrets import ask_for_secrets
from meshd.manifest.validate import validate


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the manifests say; `mesh` is None if anything is wrong.

    `inputs` are the environment variables and files that they ask for, in file order; `sources`
    are the texts by file name, to show the lines that diagnostics speak of. `partial` is the mesh
    of the documents that are in order; None if what is wrong concerns the mesh as such. The files
    with errors are `bad_files`. `watch` are the files and folders that were looked at, or for.
    """

    mesh: MeshSpec | None
    diagnostics: tuple[Diagnostic, ...]
    inputs: tuple[Input, ...]
    sources: Mapping[str, str]
    partial: MeshSpec | None = None
    bad_files: frozenset[str] = frozenset()
    watch: tuple[Path, ...] = ()


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
        return _read(paths, Interpolation(inputs, mode), project_root, stdin)


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
    interpolation: Interpolation,
    project_root: str,
    stdin: BinaryIO | None,
) -> Manifests:
    found, missing = find_files(paths)
    unread: list[Diagnostic] = []
    files: list[File] = []
    for one in found:
        data = read_bytes(one, stdin)
        if isinstance(data, Diagnostic):
            unread.append(data)
        else:
            files.append(read(data, one.name, one.folder))
    given = [Path(path).absolute() for path in paths if str(path) != STDIN]
    inside = [one.path.absolute() for one in found if one.path is not None]
    return combined(
        files, interpolation, project_root, missing=missing, unread=unread, watch=(*given, *inside)
    )


def combined(
    files: Sequence[File],
    interpolation: Interpolation,
    project_root: str,
    *,
    missing: Sequence[Diagnostic] = (),
    unread: Sequence[Diagnostic] = (),
    watch: Iterable[Path] = (),
) -> Manifests:
    """Return what files say together.

    Known already are what is `missing` at the paths given, and which files are left `unread`.
    """
    found = [*missing, *unread, *(problem for file in files for problem in file.diagnostics)]
    checked = [one for file in files for one in _checked(file, interpolation, project_root)]
    documents = [one.placed for one in checked if one.placed is not None]
    for placed in documents:
        ask_for_secrets(placed, interpolation)
    whole = fold(documents, project_root)
    between = problems_between(documents, whole.agents)
    found += between
    found += (problem for one in checked for problem in one.problems)
    diagnostics = in_file_order(found)
    is_good = not has_errors(diagnostics)
    partial = whole
    if not is_good:
        good = None if missing or has_errors(between) else good_part(checked)
        partial = None if good is None else fold(good, project_root)
    looked_for = (Path(path).absolute() for path in interpolation.files)
    return Manifests(
        mesh=whole if is_good else None,
        diagnostics=diagnostics,
        inputs=tuple(sorted(interpolation.asked, key=lambda one: one.span)),
        sources={file.source.file: file.source.text for file in files},
        partial=partial,
        bad_files=bad_files(diagnostics),
        watch=tuple(dict.fromkeys((*watch, *looked_for))),
    )


def _checked(file: File, interpolation: Interpolation, project_root: str) -> list[Checked]:
    """Return the documents of a file, each with what is wrong with it alone."""
    found: list[Checked] = []
    for index, node in enumerate(file.documents):
        known = len(interpolation.diagnostics)
        placed, wrong = validate(node, interpolation)
        problems = [*wrong, *interpolation.diagnostics[known:]]
        if placed is not None:
            problems += problems_within(placed, project_root)
        misread = bool(file.diagnostics) and is_misread(file, index)
        found.append(Checked(node, placed, tuple(problems), misread))
    return found
