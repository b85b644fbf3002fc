"""Which files are manifests, and their bytes; the only module of the package that reads files.

Files that anyone may write are refused: a manifest decides which code runs. What the group may
write is accepted, because teams share checkouts that way.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from meshd.diagnostics.model import Diagnostic, Span
from meshd.diagnostics.text import shortened
from meshd.manifest.interpolate import NotReadable
from meshd.manifest.read import MAX_BYTES

STDIN = "-"
STDIN_NAME = "<stdin>"
ENDINGS = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Found:
    """One manifest file: its name as reports show it, and the folder its paths start from."""

    name: str
    path: Path | None
    folder: str


def find_files(paths: Sequence[str | Path]) -> tuple[tuple[Found, ...], tuple[Diagnostic, ...]]:
    """Return the manifests at the paths, each once, in the order given; folders sorted by name.

    Folders are searched to the bottom, without following links to folders. What begins with a dot
    is left out, and so is what has another ending, unless it was named itself.
    """
    found: dict[str, Found] = {}
    problems: list[Diagnostic] = []
    for path in map(Path, paths):
        if str(path) == STDIN:
            found.setdefault(STDIN, Found(STDIN_NAME, None, os.path.realpath(".")))
        elif problem := _unusable(path):
            problems.append(problem)
        elif path.is_dir():
            inside = list(manifests_below(path))
            if not inside:
                hint = "manifests end in `.yaml` or `.yml`"
                problems.append(_problem("M101", f"there is no manifest in `{path}`", path, hint))
            for file in inside:
                found.setdefault(os.path.realpath(file), _found(file))
        elif path.suffix not in ENDINGS:
            message = f"`{path}` is no manifest: it ends in neither `.yaml` nor `.yml`"
            problems.append(_problem("M101", message, path, "rename it"))
        else:
            found.setdefault(os.path.realpath(path), _found(path))
    return tuple(found.values()), tuple(problems)


def manifests_below(folder: Path) -> Iterator[Path]:
    """Yield the manifests in a folder, by name, those of a folder before those below it."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix in ENDINGS:
                yield Path(parent) / name


def read_bytes(file: Found, stdin: BinaryIO | None) -> bytes | Diagnostic:
    """Return the file's bytes, at most one more than a manifest may have; or why it is not read."""
    if file.path is None:
        return b"" if stdin is None else stdin.read(MAX_BYTES + 1)
    try:
        with _open(file.path) as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if not stat.S_ISREG(mode):
                return _problem("M100", f"`{file.name}` is not a regular file", file.path, "")
            if mode & stat.S_IWOTH:
                message = f"anyone may write `{file.name}`"
                return _problem("M104", message, file.path, f"run `chmod o-w {file.name}`")
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"`{file.name}` cannot be read"
        return _problem("M100", message, file.path, "", error.strerror or str(error))


class ProjectInputs:
    """The environment, and files inside the project."""

    def __init__(self, environment: Mapping[str, str], project_root: str) -> None:
        self._environment = environment
        self._root = os.path.realpath(project_root)

    def variable(self, name: str) -> str | None:
        """Return an environment variable, or None."""
        return self._environment.get(name)

    def text_of(self, path: str, folder: str) -> str | None:
        """Return the text of a file without its last line break; None if it is not there.

        Raises:
            NotReadable: it lies outside of the project, links resolved, or is no text.

        """
        whole = Path(os.path.realpath(Path(folder) / path))
        if not whole.is_relative_to(self._root):
            raise NotReadable(f"it lies outside of the project `{self._root}`")
        try:
            with _open(whole) as opened:
                if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                    raise NotReadable("it is not a regular file")
                data = opened.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NotReadable(error.strerror or str(error)) from None
        if len(data) > MAX_BYTES:
            raise NotReadable(f"it has more than {MAX_BYTES:,} bytes")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise NotReadable("it is not UTF-8") from None
        return text.removesuffix("\n").removesuffix("\r")

    def is_file(self, path: str) -> bool:
        """Say whether there is a file; one of a secret may be anywhere on the machine."""
        try:
            return stat.S_ISREG(Path(path).stat().st_mode)
        except (OSError, ValueError):
            return False


def _unusable(path: Path) -> Diagnostic | None:
    """Return why nothing can be read at the path, or None."""
    try:
        path.stat()
    except FileNotFoundError:
        return _problem("M100", f"there is no file `{path}`", path, "check the path")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _problem("M100", f"`{shortened(str(path))}` cannot be read", path, "", reason)
    return None


def _found(path: Path) -> Found:
    return Found(str(path), path, os.path.realpath(path.parent))


def _problem(code: str, message: str, path: Path, hint: str, label: str = "") -> Diagnostic:
    span = Span(str(path), 1, 1, 1)
    return Diagnostic(code=code, message=message, span=span, label=label, hint=hint)


def _open(path: Path) -> BinaryIO:
    """Open a file; a named pipe must not make us wait for its writer."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
