"""A store in one SQLite file, held by one registry at a time.

What is to be written is collected per instance, so that a registry which cannot write for a while
remembers no more than what it has. A thread of its own writes it, and makes it ready for that.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from meshd.registry.events import MAX_EVENTS, Event
from meshd.registry.sqlite_file import Batch, SqliteFile
from meshd.registry.store import Snapshot, StoredInstance, StoreFailed

T = TypeVar("T")


class SqliteStore:
    """Keeps instances and events in a file, in write-ahead mode."""

    kind = "sqlite"

    def __init__(self, path: Path, max_events: int = MAX_EVENTS) -> None:
        self.path = path
        self._file = SqliteFile(path, max_events)
        self._max_events = max_events
        self._thread: ThreadPoolExecutor | None = None
        self._in_file: set[str] = set()
        self._changed: dict[str, StoredInstance | None] = {}
        self._touched: dict[str, datetime] = {}
        self._events: deque[Event] = deque(maxlen=max_events)

    @property
    def is_open(self) -> bool:
        """Whether the file can be written."""
        return self._file.is_open

    @property
    def notice(self) -> str:
        """What became of a file that could not be read."""
        return self._file.notice

    async def load(self, *, set_aside: bool = False) -> Snapshot:
        """Open the file, making it if it is not there, and read all of it."""
        snapshot = await self._in_thread(lambda: self._file.open(set_aside=set_aside))
        self._in_file = {stored.instance.id for stored in snapshot.instances}
        self._nothing_left()
        return snapshot

    async def rewrite(self, snapshot: Snapshot) -> None:
        """Write all that there is, instead of what the file held."""
        self._nothing_left()
        self._in_file |= {stored.instance.id for stored in snapshot.instances}
        try:
            await self._in_thread(lambda: self._file.rewrite(snapshot))
        except StoreFailed:
            # All of it is still to be written.
            await self._in_thread(self._file.close)
            raise

    def put(self, stored: StoredInstance) -> None:
        """Add or replace an instance."""
        self._changed[stored.instance.id] = stored
        self._touched.pop(stored.instance.id, None)

    def touch(self, instance: str, last_seen: datetime) -> None:
        """Note a heartbeat."""
        self._touched[instance] = last_seen

    def drop(self, instance: str) -> None:
        """Remove an instance."""
        self._touched.pop(instance, None)
        # What was never written needs no note, or a disk that stays full would fill the memory.
        self._changed.pop(instance, None)
        if instance in self._in_file:
            self._changed[instance] = None

    def append(self, events: Iterable[Event]) -> None:
        """Add events."""
        self._events.extend(events)

    async def write(self) -> None:
        """Write what has come since the last time, in one transaction."""
        if not self.is_open:
            raise StoreFailed(f"`{self.path}` is not open")
        if not (self._changed or self._touched or self._events):
            return
        batch = Batch(self._changed, self._touched, tuple(self._events))
        self._nothing_left()
        # Who is dropped meanwhile has to be dropped from the file.
        new = batch.changed.keys() - self._in_file
        self._in_file |= new
        try:
            await self._in_thread(lambda: self._file.write(batch))
        except asyncio.CancelledError:
            raise  # what had begun has ended
        except BaseException:
            self._in_file -= new
            self._remember(batch)
            raise
        self._in_file.difference_update(
            name for name, stored in batch.changed.items() if stored is None
        )

    async def close(self) -> None:
        """Write what is left, and close the file."""
        if self._thread is None:
            return
        try:
            if self.is_open:
                await self.write()
        except StoreFailed:
            pass
        finally:
            await self._in_thread(self._file.close)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Do what waits for the disk; who is cancelled meanwhile waits for its end."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "registry-store")
        doing = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise

    def _nothing_left(self) -> None:
        self._changed, self._touched = {}, {}
        self._events.clear()

    def _remember(self, batch: Batch) -> None:
        """Keep what could not be written, below what has come since."""
        # A heartbeat of before a newer registration says nothing any more.
        older = {name: at for name, at in batch.touched.items() if name not in self._changed}
        self._touched = {**older, **self._touched}
        self._changed = {
            name: stored
            for name, stored in {**batch.changed, **self._changed}.items()
            if stored is not None or name in self._in_file
        }
        self._events = deque([*batch.events, *self._events], maxlen=self._max_events)
