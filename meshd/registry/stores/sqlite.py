"""A store in one SQLite file, held by one registry at a time.

What is to be written is collected per instance, so that a registry which cannot write for a while
remembers no more than what it has; `write` puts it into one transaction.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import aiosqlite

from meshd.registry.events import MAX_EVENTS, Event
from meshd.registry.records import event_of, event_record, instance_of, instance_record
from meshd.registry.store import Snapshot, StoredInstance, StoreFailed

SCHEMA_VERSION = 2
"""Version 1 has records without `interval_seconds`, which are read as they are."""
BUSY_MILLISECONDS = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, record BLOB NOT NULL, last_seen TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL);
"""


class SqliteStore:
    """Keeps instances and events in a file, in write-ahead mode."""

    kind = "sqlite"

    def __init__(self, path: Path, max_events: int = MAX_EVENTS) -> None:
        self.path = path
        self._max_events = max_events
        self._connection: aiosqlite.Connection | None = None
        self._in_file: set[str] = set()
        self._changed: dict[str, StoredInstance | None] = {}
        self._touched: dict[str, datetime] = {}
        self._events: deque[Event] = deque(maxlen=max_events)

    async def load(self) -> Snapshot:
        """Open the file, making it if it is not there, and read all of it."""
        try:
            # aiosqlite leaves a thread behind that outlives the loop if its own opening fails.
            await asyncio.to_thread(_probe, self.path)
            connection = await aiosqlite.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise self._failure(error) from None
        try:
            snapshot = await _opened(connection)
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            await connection.close()
            raise self._failure(error) from None
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._in_file = {stored.instance.id for stored in snapshot.instances}
        return snapshot

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
        connection = self._connection
        if connection is None:
            raise StoreFailed(f"`{self.path}` is not open")
        if not (self._changed or self._touched or self._events):
            return
        changed, self._changed = self._changed, {}
        touched, self._touched = self._touched, {}
        events = tuple(self._events)
        self._events.clear()
        # Who is dropped meanwhile has to be dropped from the file.
        new = changed.keys() - self._in_file
        self._in_file |= new
        try:
            await _written(connection, changed, touched, events, self._max_events)
        except BaseException as error:
            self._in_file -= new
            self._remember(changed, touched, events)
            with contextlib.suppress(sqlite3.Error, ValueError):
                await connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise self._failure(error) from None
            raise
        self._in_file.difference_update(name for name, stored in changed.items() if stored is None)

    async def close(self) -> None:
        """Write what is left, and close the file."""
        if self._connection is None:
            return
        with contextlib.suppress(StoreFailed):
            await self.write()
        connection, self._connection = self._connection, None
        with contextlib.suppress(sqlite3.Error):
            await connection.close()

    def _remember(
        self,
        changed: dict[str, StoredInstance | None],
        touched: dict[str, datetime],
        events: tuple[Event, ...],
    ) -> None:
        """Keep what could not be written, below what has come since."""
        # A heartbeat of before a newer registration says nothing any more.
        older = {name: at for name, at in touched.items() if name not in self._changed}
        self._touched = {**older, **self._touched}
        self._changed = {
            name: stored
            for name, stored in {**changed, **self._changed}.items()
            if stored is not None or name in self._in_file
        }
        self._events = deque([*events, *self._events], maxlen=self._max_events)

    def _failure(self, error: Exception) -> StoreFailed:
        return StoreFailed(f"`{self.path}` cannot be used: {error}")


def _probe(path: Path) -> None:
    sqlite3.connect(path).close()


async def _opened(connection: aiosqlite.Connection) -> Snapshot:
    await connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    # One registry at a time: two that wrote into one file would undo each other's work.
    await connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    await connection.execute("PRAGMA journal_mode = WAL")
    await connection.execute("PRAGMA synchronous = NORMAL")
    await connection.execute("BEGIN EXCLUSIVE")
    (version,) = await _row(connection, "PRAGMA user_version")
    if not 0 <= version <= SCHEMA_VERSION:
        raise ValueError(f"it has version {version}, and this release knows {SCHEMA_VERSION}")
    for statement in _SCHEMA.split(";"):
        await connection.execute(statement)
    await connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    await connection.commit()
    (verdict,) = await _row(connection, "PRAGMA quick_check(1)")
    if verdict != "ok":
        raise ValueError(verdict)
    rows = await connection.execute_fetchall("SELECT record, last_seen FROM instances ORDER BY id")
    instances = tuple(instance_of(record, last_seen) for record, last_seen in rows)
    rows = await connection.execute_fetchall("SELECT record FROM events ORDER BY number")
    return Snapshot(instances, tuple(event_of(record) for (record,) in rows))


async def _row(connection: aiosqlite.Connection, statement: str) -> sqlite3.Row:
    async with connection.execute(statement) as cursor:
        row = await cursor.fetchone()
    if row is None:
        raise ValueError(f"`{statement}` has no answer")
    return row


async def _written(
    connection: aiosqlite.Connection,
    changed: dict[str, StoredInstance | None],
    touched: dict[str, datetime],
    events: tuple[Event, ...],
    max_events: int,
) -> None:
    await connection.execute("BEGIN IMMEDIATE")
    await connection.executemany(
        "INSERT OR REPLACE INTO instances (id, record, last_seen) VALUES (?, ?, ?)",
        [
            (name, instance_record(stored), stored.last_seen.isoformat())
            for name, stored in changed.items()
            if stored is not None
        ],
    )
    await connection.executemany(
        "DELETE FROM instances WHERE id = ?",
        [(name,) for name, stored in changed.items() if stored is None],
    )
    await connection.executemany(
        "UPDATE instances SET last_seen = ? WHERE id = ?",
        [(at.isoformat(), name) for name, at in touched.items()],
    )
    await connection.executemany(
        "INSERT INTO events (record) VALUES (?)", [(event_record(event),) for event in events]
    )
    await connection.execute(
        "DELETE FROM events WHERE number <= (SELECT MAX(number) FROM events) - ?", (max_events,)
    )
    await connection.commit()
