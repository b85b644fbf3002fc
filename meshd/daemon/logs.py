"""The output of instances: from their pipes to a log file each, and to whoever shows it.

Lives on the event loop and takes a little at a time from each pipe. No trouble with files holds an
instance up: lines that cannot be written are shown all the same, and counted.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from meshd.clock import Clock, SystemClock
from meshd.daemon.log_lines import (
    OLDER_SUFFIX,
    LineSplitter,
    LogLine,
    file_name,
    stored,
    to_milliseconds,
)

FILE_BYTES = 5_000_000
"""How large a log file gets before it becomes the older one."""

READ_BYTES = 16 * 1024
"""What is read of a pipe at a time."""

LINES_PER_TURN = 100
"""What is shown of an instance before others have their turn."""

PIPE_BYTES = 1024 * 1024
"""As much as a pipe can hold unless an administrator allows more."""

logger = logging.getLogger("meshd.logs")


class InstanceLogs:
    """Reads the pipes of instances, and owns them; `close` ends it."""

    def __init__(
        self,
        folder: Path,
        on_line: Callable[[LogLine], None],
        *,
        clock: Clock | None = None,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._on_line = on_line
        self._clock = clock or SystemClock()
        self._file_bytes = file_bytes
        self._pipes: set[_Pipe] = set()
        self._files: dict[str, _LogFile] = {}
        self._problems: dict[str, str] = {}

    @property
    def problem(self) -> str | None:
        """Why lines cannot be written now, or None."""
        return next(iter(self._problems.values()), None)

    def add(self, instance: str, read_fd: int) -> None:
        """Read the pipe from now on; several of one instance go to the same file."""
        os.set_blocking(read_fd, False)
        pipe = _Pipe(instance, read_fd)
        self._pipes.add(pipe)
        if instance not in self._files:
            self._files[instance] = _LogFile(self._folder, instance, self._file_bytes)
        self._listen(pipe, wanted=True)

    async def closed(self, instance: str) -> None:
        """Wait until the pipes that the instance has now have ended, and all is written."""
        for pipe in [pipe for pipe in self._pipes if pipe.instance == instance]:
            await pipe.ended.wait()

    def close(self) -> None:
        """Write what there is to read now, and read no more."""
        for pipe in list(self._pipes):
            data = _available(pipe.descriptor, PIPE_BYTES)
            pipe.lines += [*pipe.splitter.feed(data or b""), *pipe.splitter.end()]
            self._pass_on(pipe, len(pipe.lines))
            self._end(pipe)

    def _read(self, pipe: "_Pipe") -> None:
        data = _available(pipe.descriptor, READ_BYTES)
        if data is None:
            return
        pipe.lines += pipe.splitter.feed(data) if data else pipe.splitter.end()
        pipe.is_at_end = not data
        self._turn(pipe)

    def _turn(self, pipe: "_Pipe") -> None:
        if pipe.ended.is_set():
            return
        try:
            self._pass_on(pipe, LINES_PER_TURN)
        finally:
            if pipe.is_at_end and not pipe.lines:
                self._end(pipe)
            else:
                # No more is read before these are gone.
                self._listen(pipe, wanted=not pipe.lines)
                if pipe.lines:
                    pipe.loop.call_soon(self._turn, pipe)

    def _listen(self, pipe: "_Pipe", *, wanted: bool) -> None:
        if wanted and not pipe.is_heard:
            pipe.loop.add_reader(pipe.descriptor, self._read, pipe)
        elif pipe.is_heard and not wanted:
            pipe.loop.remove_reader(pipe.descriptor)
        pipe.is_heard = wanted

    def _pass_on(self, pipe: "_Pipe", count: int) -> None:
        at = to_milliseconds(self._clock.now())
        texts = [pipe.lines.popleft() for _ in range(min(count, len(pipe.lines)))]
        lines = [LogLine(pipe.instance, at, text) for text in texts]
        if lines:
            self._write(pipe.instance, lines, at)
        for line in lines:
            self._on_line(line)

    def _write(self, instance: str, lines: Sequence[LogLine], at: datetime) -> None:
        file = self._files[instance]
        data = b"".join(map(stored, lines))
        if file.lost_lines:
            gap = f"meshd: lines that could not be written here: {file.lost_lines}"
            data = stored(LogLine(instance, at, gap)) + data
        try:
            file.write(data)
        except OSError as error:
            file.lost_lines += len(lines)
            if not self._problems:
                logger.warning("logs cannot be written: `%s`: %s", file.path, error.strerror)
            self._problems[instance] = f"cannot write `{file.path}`: {error.strerror}"
        else:
            file.lost_lines = 0
            if self._problems.pop(instance, None) and not self._problems:
                logger.warning("logs can be written again")

    def _end(self, pipe: "_Pipe") -> None:
        self._listen(pipe, wanted=False)
        os.close(pipe.descriptor)
        self._pipes.discard(pipe)
        if not any(other.instance == pipe.instance for other in self._pipes):
            self._files.pop(pipe.instance).close()
            self._problems.pop(pipe.instance, None)
        pipe.ended.set()


class _Pipe:
    """One pipe, and what of it was read but not passed on."""

    def __init__(self, instance: str, descriptor: int) -> None:
        self.instance = instance
        self.descriptor = descriptor
        self.splitter = LineSplitter()
        self.lines: deque[str] = deque()
        self.is_heard = False
        self.is_at_end = False
        self.ended = asyncio.Event()
        self.loop = asyncio.get_running_loop()


class _LogFile:
    """The log file of an instance and the one before it; opened anew after any trouble."""

    def __init__(self, folder: Path, instance: str, limit_bytes: int) -> None:
        self.path = folder / file_name(instance)
        self.lost_lines = 0
        self._older = folder / file_name(instance, OLDER_SUFFIX)
        self._limit_bytes = limit_bytes
        self._descriptor: int | None = None
        self._within_line = False

    def write(self, data: bytes) -> None:
        """Append whole lines.

        Raises:
            OSError: not all of them could be written.

        """
        try:
            descriptor = self._opened(len(data))
            if self._within_line:
                data = b"\n" + data
            while data:
                written = os.write(descriptor, data)
                self._within_line = not data[:written].endswith(b"\n")
                data = data[written:]
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; writing opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self, room_bytes: int) -> int:
        """Return a file that is still there and has room."""
        if self._descriptor is not None:
            found = os.fstat(self._descriptor)
            if found.st_nlink and found.st_size + room_bytes <= self._limit_bytes:
                return self._descriptor
        self.close()
        self._descriptor = self._open()
        size = os.fstat(self._descriptor).st_size
        if size and size + room_bytes > self._limit_bytes:
            self.path.replace(self._older)
            self.close()
            self._descriptor = self._open()
        return self._descriptor

    def _open(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        # Not to wait for the reader of a named pipe.
        return os.open(self.path, flags | os.O_NONBLOCK, 0o600)


def _available(descriptor: int, size: int) -> bytes | None:
    """Return what a pipe holds, nothing at its end, None if there is nothing yet."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None
    except OSError:
        return b""
