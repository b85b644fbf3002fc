"""Paths of manifests as texts: relative to the file that names them, inside the project."""

import posixpath


def absolute(folder: str, path: str) -> str:
    """Return the path as seen from the folder, without `.` and `..`."""
    return posixpath.normpath(posixpath.join(folder, path))


def joined(folder: str, path: str) -> str:
    """Return the path as seen from the folder, with `.` and `..` as they are: links may matter."""
    return posixpath.join(folder, path)


def is_absolute(path: str) -> bool:
    """Say whether the path starts at the root of the file system."""
    return posixpath.isabs(path)


def is_within(path: str, root: str) -> bool:
    """Say whether a normal absolute path is the root or lies in it; links are not looked at."""
    return path == root or path.startswith(root.rstrip("/") + "/")
