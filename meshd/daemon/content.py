"""What a path holds, as a short digest, and which names in which folders lead to it.

A file's digest is that of its bytes; a folder's is that of the list of manifests below it. A
signature, of what `stat` says, is enough to see that a path has *not* changed. Links are followed.
Nothing here raises: what is missing or cannot be read has a digest of its own.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshd.manifest.files import ENDINGS, manifests_below

MISSING = "missing"
UNREADABLE = "unreadable"

SETTLED_SECONDS = 2.0
"""What changed less long ago may change again and keep its time stamps."""

MAX_LINKS = 40
"""As many in one path as Linux follows."""

Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a path held when it was looked at."""

    digest: str
    signature: Signature | None
    """None if it cannot vouch for the content."""
    folders: tuple[str, ...] = ()
    """Of a folder: itself and those below it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where events come from, and which paths each concerns."""

    folders: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """The folders to watch, each with its device and inode: another may take its place."""
    names: Mapping[str, set[Path]] = field(default_factory=dict[str, set[Path]])
    trees: Mapping[str, set[Path]] = field(default_factory=dict[str, set[Path]])
    """Folders in which any manifest counts."""

    def concerned(self, name: str) -> set[Path]:
        """Return the paths whose content may differ now that something happened to a name."""
        concerned = self.names.get(name, set())
        folder, last = os.path.split(name)
        if folder not in self.trees or last.startswith("."):
            return concerned
        counts = os.path.splitext(last)[1] in ENDINGS or os.path.isdir(name)  # noqa: PTH112, PTH122
        return concerned | self.trees[folder] if counts else concerned


def layout_of(contents: Mapping[Path, Content]) -> Layout:
    """Return which folders to watch to hear of changes of the contents."""
    names: dict[str, set[Path]] = {}
    trees: dict[str, set[Path]] = {}
    parents: set[str] = set()
    for path, content in contents.items():
        found = lookups(path)
        for name in found:
            parent = os.path.dirname(name)  # noqa: PTH120
            parents.add(parent)
            names.setdefault(name, set()).add(path)
            names.setdefault(parent, set()).add(path)
        for folder in content.folders:
            below = folder[len(str(path)) :].lstrip("/")
            tree = os.path.join(found[-1], below) if below else found[-1]  # noqa: PTH118
            trees.setdefault(tree, set()).add(path)
            names.setdefault(tree, set()).add(path)
    return Layout(_identities(parents | trees.keys()), names, trees)


def content_of(path: Path, before: Content | None, now_seconds: float) -> Content:
    """Look at the path; what the signature vouches for is not read again."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return _content_of_folder(path, before, now_seconds)
        signature = _signature(found)
        if before is not None and before.signature == signature:
            return before
        times = (found.st_mtime, found.st_ctime)
        return Content(_hashed(path), signature if _settled(times, now_seconds) else None)
    except (FileNotFoundError, NotADirectoryError):
        return Content(MISSING, ())
    except (OSError, ValueError):
        return Content(UNREADABLE, None)


def lookups(path: Path) -> tuple[str, ...]:
    """Return each name that decides what the path leads to: the links on its way, and its end.

    The names are absolute, the folders that they are in are free of links. Where the way ends
    early, because something is missing, that is the last name.
    """
    here = Path.cwd() if not path.is_absolute() else Path(path.anchor)
    ahead = [part for part in reversed(path.parts) if part != path.anchor]
    links: list[str] = []
    at = str(here)
    while ahead:
        part = ahead.pop()
        if part == "..":
            at = os.path.dirname(at)  # noqa: PTH120  (pathlib is five times slower)
            continue
        name = os.path.join(at, part)  # noqa: PTH118
        target = _target(name)
        if target is None:
            at = name
        elif not target or len(links) == MAX_LINKS:
            return (*links, name)
        else:
            links.append(name)
            at = "/" if target.startswith("/") else at
            ahead += [part for part in reversed(target.split("/")) if part not in ("", ".")]
    return (*links, at)


def _identities(folders: Iterable[str]) -> dict[str, tuple[int, int]]:
    identities: dict[str, tuple[int, int]] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            found = os.stat(folder)  # noqa: PTH116
            identities[folder] = (found.st_dev, found.st_ino)
    return identities


def _target(name: str) -> str | None:
    """Return where a link leads, None if it is no link, and nothing if it is not there."""
    try:
        return os.readlink(name)  # noqa: PTH115
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError):
        return None


def _content_of_folder(path: Path, before: Content | None, now_seconds: float) -> Content:
    if before is not None and before.folders:
        signature, _ = _signature_of_folders(before.folders)
        if signature == before.signature:
            return before
    folders = tuple(_tree(path))
    names = sorted(os.fsencode(file.relative_to(path)) for file in manifests_below(path))
    digest = hashlib.sha256(b"\0".join(names)).hexdigest()
    signature, times = _signature_of_folders(folders)
    return Content(digest, signature if _settled(times, now_seconds) else None, folders)


def _tree(folder: Path) -> Iterable[str]:
    """Yield the folder and those below it that may hold manifests."""
    for parent, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield parent


def _signature(found: os.stat_result) -> Signature:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _signature_of_folders(folders: Iterable[str]) -> tuple[Signature, tuple[float, ...]]:
    """Return the signatures of all of them as one, and when each changed last."""
    signature: list[int] = []
    times: list[float] = []
    for folder in folders:
        try:
            found = os.stat(folder)  # noqa: PTH116
        except OSError:
            signature.append(0)
        else:
            signature += _signature(found)
            times.append(found.st_ctime)
    return tuple(signature), tuple(times)


def _settled(times: Iterable[float], now_seconds: float) -> bool:
    return all(time < now_seconds - SETTLED_SECONDS for time in times)


def _hashed(path: Path) -> str:
    """Return the digest of a file; a named pipe must not make us wait for its writer."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            return UNREADABLE
        return hashlib.file_digest(opened, "sha256").hexdigest()
