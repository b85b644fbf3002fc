"""What Linux offers for processes that must not outlive each other; the rest of meshd knows none.

A daemon becomes a subreaper, so that the children of its dead children become its own; a child asks
to be told when its parent dies. https://man7.org/linux/man-pages/man2/prctl.2.html
"""

import contextlib
import ctypes
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_SET_NAME = 15
_SET_CHILD_SUBREAPER = 36
_LONGEST_NAME = 15


def become_subreaper() -> None:
    """Receive the orphans below this process, as its children."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int, number: signal.Signals = signal.SIGTERM) -> bool:
    """Receive a signal when the parent dies; False if another process is the parent by now."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, number)
    return os.getppid() == parent


def set_process_name(name: str) -> None:
    """Set the name that `ps -o comm` and `top` show, as much of it as there is room for."""
    _prctl(_SET_NAME, ctypes.c_char_p(name.encode()[:_LONGEST_NAME]))


def children(parent: int) -> set[int]:
    """Return the ids of a process's children, those that have ended left out."""
    return _tree().get(parent, set())


def descendants(parents: Iterable[int]) -> set[int]:
    """Return the ids of all processes below the given ones."""
    return _below(parents, _tree())


def kill_trees(roots: Iterable[int]) -> None:
    """Kill processes, everything below them, and the groups that they lead."""
    _kill_trees(roots, _tree())


def kill_orphans(spared: set[int]) -> None:
    """Kill this process's children and everything below them, but for those children to spare.

    Both are taken from one reading: an orphan that dies between two leaves what is below it to us,
    where neither would look for it.
    """
    tree = _tree()
    _kill_trees(tree.get(os.getpid(), set()) - spared, tree)


def _below(parents: Iterable[int], tree: Mapping[int, set[int]]) -> set[int]:
    found: set[int] = set()
    waiting = list(parents)
    while waiting:
        below = tree.get(waiting.pop(), set()) - found
        found |= below
        waiting.extend(below)
    return found


def _kill_trees(roots: Iterable[int], tree: Mapping[int, set[int]]) -> None:
    listed = list(roots)
    doomed = [*listed, *_below(listed, tree)]
    own_group = os.getpgrp()
    for process in doomed:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process != own_group and os.getpgid(process) == process:
                os.killpg(process, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    for process in listed:
        # What a dead leader leaves in its group has no parent that leads there.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process != own_group:
                os.killpg(process, signal.SIGKILL)


def kill_descendants() -> None:
    """Kill everything below this process, and the groups that these processes lead."""
    kill_trees(descendants([os.getpid()]))


def is_alive(process: int) -> bool:
    """Say whether a process lives; one that has ended but was not waited for does not."""
    fields = _status(process)
    return fields is not None and fields[0] != "Z"


def _tree() -> dict[int, set[int]]:
    tree: dict[int, set[int]] = defaultdict(set)
    for entry in os.listdir("/proc"):  # noqa: PTH208  (names are all that is needed)
        if entry.isdecimal():
            fields = _status(int(entry))
            if fields is not None and fields[0] != "Z":
                tree[int(fields[1])].add(int(entry))
    return tree


def _status(process: int) -> list[str] | None:
    """Return state, parent, group, session and more; the command's name before may hold spaces."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _prctl(option: int, value: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
