"""What a path holds, as a short digest, and which names in which folders lead to it.

A file's digest is that of its bytes; a folder's is that of the list of manifests below it. A
signature, of what `stat` says, is enough to see that a path has *not* changed. Links are followed.
Nothing here raises: what is missing or cannot be read has a digest of its own.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from meshd.manifest.files import ENDINGS, manifests_below

MISSING = "missing"
UNREADABLE = "unreadable"

SETTLED_SECONDS = 2.0
"""A file that changed less long ago may change again without another time stamp."""

MAX_LINKS = 40
"""As many as Linux follows."""

type_of_signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a path held when it was looked at."""

    digest: str
    signature: tuple[int, ...] | None
    """None where it does not vouch for the content."""
    folders: tuple[str, ...] = ()
    """For a folder: itself and those below it."""


def digest_of(path: Path) -> str:
    """Return the digest of what the path holds now."""
    return content_of(path, None, 0).digest


def content_of(path: Path, before: Content | None, now_seconds: float) -> Content:
    """Look at the path; what the signature vouches for is not read again."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return _folder(path, before, now_seconds)
        signature = _signature(found)
        if before is not None and before.signature == signature:
            return before
        return Content(_hashed(path), _vouching(signature, now_seconds))
    except (FileNotFoundError, NotADirectoryError):
        return Content(MISSING, (0,))
    except (OSError, ValueError):
        return Content(UNREADABLE, None)


def _folder(path: Path, before: Content | None, now_seconds: float) -> Content:
    if before is not None and before.folders and before.signature == _newest(before.folders):
        return before
    folders = [str(path)]
    for parent, inside, _ in os.walk(path):
        inside[:] = [name for name in inside if not name.startswith(".")]
        folders += [os.path.join(parent, name) for name in inside]  # noqa: PTH118
    names = sorted(os.fsencode(file.relative_to(path)) for file in manifests_below(path))
    digest = hashlib.sha256(b"\0".join(names)).hexdigest()
    return Content(digest, _vouching(_newest(folders), now_seconds), tuple(folders))
