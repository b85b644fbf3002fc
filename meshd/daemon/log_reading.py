"""Reads the log files of instances, which another process writes: the last lines, and new ones."""

import heapq
import os
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from pathlib import Path

from meshd.clock import Clock, SystemClock
from meshd.daemon.log_lines import (
    OLDER_SUFFIX,
    LogLine,
    file_name,
    instance_of,
    restored,
)

BLOCK_BYTES = 64 * 1024
ROUND_BYTES = 1024 * 1024
"""What is read of one instance before others have their turn."""

Wanted = Collection[str] | Callable[[str], bool] | None
"""Instances: by name, or by what is said of their names; None or nothing means all."""


def tail(folder: Path, instances: Wanted, lines: int) -> list[LogLine]:
    """Return the last lines of the instances together, oldest first."""
    logs = [_Log(folder, instance) for instance in _matching(folder, instances)]
    try:
        return _last([log.skip(lines) for log in logs], lines)
    finally:
        for log in logs:
            log.close()


async def follow(
    folder: Path,
    instances: Wanted = None,
    *,
    lines: int = 0,
    clock: Clock | None = None,
    poll_seconds: float = 0.2,
) -> AsyncGenerator[LogLine, None]:
    """Yield so many lines that there are, then each further one, without a gap between them.

    Instances that are not there yet are followed from their first line on. Never ends by itself.
    """
    clock = clock or SystemClock()
    logs = {instance: _Log(folder, instance) for instance in _matching(folder, instances)}
    try:
        for line in _last([log.skip(lines) for log in logs.values()], lines):
            yield line
        while True:
            for instance in _matching(folder, instances):
                if instance not in logs:
                    logs[instance] = _Log(folder, instance)
            for line in _merged([log.read() for log in logs.values()]):
                yield line
            has_more = any(log.has_more for log in logs.values())
            await clock.sleep(0 if has_more else poll_seconds)
    finally:
        for log in logs.values():
            log.close()


def _matching(folder: Path, wanted: Wanted) -> list[str]:
    """Return the instances that have logs and are wanted."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []
    found = [instance for name in names if (instance := instance_of(name)) is not None]
    if not wanted:
        return found
    matches = wanted if callable(wanted) else wanted.__contains__
    return [instance for instance in found if matches(instance)]


def _merged(logs: Iterable[Iterable[LogLine]]) -> Iterable[LogLine]:
    """Return all lines by time; those of one instance stay in order."""
    return heapq.merge(*logs, key=lambda line: line.at)


def _last(logs: Iterable[Iterable[LogLine]], count: int) -> list[LogLine]:
    return list(_merged(logs))[-count:] if count > 0 else []


class _Log:
    """Reads what is written to an instance's log, also when another file takes its place."""

    def __init__(self, folder: Path, instance: str) -> None:
        self.has_more = False
        self._instance = instance
        self._path = folder / file_name(instance)
        self._older_path = folder / file_name(instance, OLDER_SUFFIX)
        self._descriptor: int | None = None
        self._offset = 0
        self._rest = b""
        self._passed: int | None = None
        """The inode of a file that has been read, or need not be."""

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def skip(self, count: int) -> list[LogLine]:
        """Go behind the last line that is complete; return so many of those before."""
        self._descriptor = _opened(self._path)
        older = _opened(self._older_path)
        try:
            if self._descriptor is None:
                return []
            self._offset, lines = _last_lines(self._descriptor, count)
            if older is not None:
                self._passed = os.fstat(older).st_ino
                # It is the same if the files changed places between the two openings.
                if len(lines) < count and self._passed != os.fstat(self._descriptor).st_ino:
                    lines = [*_last_lines(older, count - len(lines))[1], *lines]
            return self._restored(lines)
        finally:
            if older is not None:
                os.close(older)

    def read(self) -> list[LogLine]:
        """Return new lines, not too many at a time: `has_more` says whether there are others."""
        lines: list[bytes] = []
        room = ROUND_BYTES
        while room > 0:
            data = self._read(room)
            if data:
                room -= len(data)
                *complete, self._rest = (self._rest + data).split(b"\n")
                lines += complete
            elif not self._advance():
                break
        self.has_more = room <= 0
        return self._restored(lines)

    def _read(self, size: int) -> bytes:
        if self._descriptor is None:
            return b""
        data = os.pread(self._descriptor, min(size, BLOCK_BYTES), self._offset)
        self._offset += len(data)
        return data

    def _advance(self) -> bool:
        """Go on to the next file, if there is one, or to the start of this one if it was emptied.

        The next one is the older of the two if this one has been replaced twice.
        """
        current = _inode(self._path)
        # Looked at after the path: what was replaced is not written any more.
        here = None if self._descriptor is None else os.fstat(self._descriptor)
        if here is not None and here.st_size != self._offset:
            if here.st_size < self._offset:
                self._offset, self._rest = 0, b""
            return True
        ours = None if here is None else here.st_ino
        if current in (None, ours):
            return False
        older = _inode(self._older_path)
        behind = older not in (None, ours, self._passed)
        self.close()
        self._descriptor = _opened(self._older_path if behind else self._path)
        self._passed = ours if behind else older
        self._offset, self._rest = 0, b""
        return self._descriptor is not None

    def _restored(self, lines: Iterable[bytes]) -> list[LogLine]:
        found = (restored(self._instance, line) for line in lines)
        return [line for line in found if line is not None]


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _last_lines(descriptor: int, count: int) -> tuple[int, list[bytes]]:
    """Return where the last complete line ends, and so many lines before; reads from the end."""
    start = os.fstat(descriptor).st_size
    data = b""
    while start > 0 and data.count(b"\n") <= count:
        size = min(max(BLOCK_BYTES, len(data)), start)
        start -= size
        data = os.pread(descriptor, size, start) + data
    end = data.rfind(b"\n") + 1
    lines = data[:end].split(b"\n")[:-1]
    return start + end, lines[-count:] if count else []
