"""A store's SQLite file: opened, read, written and set aside. All of it waits for the disk.

A file that cannot be read is set aside if it is the registry's own: if it says so, or has the
registry's name for it. Any other is left as it is.
"""

import contextlib
import os
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from meshd.registry.events import Event
from meshd.registry.records import event_of, event_record, instance_of, instance_record
from meshd.registry.store import Snapshot, StoredInstance, StoreFailed

FILE_NAME = "registry.sqlite"
SCHEMA_VERSION = 2
"""Version 1 has records without `interval_seconds`, which are read as they are."""
BUSY_MILLISECONDS = 1000
APPLICATION_ID = int.from_bytes(b"mesh")
_APPLICATION_ID_AT = 68
_MAGIC = b"SQLite format 3\0"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, record BLOB NOT NULL, last_seen TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL);
"""
_ROWS = 100
_PASSING = {"SQLITE_FULL", "SQLITE_BUSY", "SQLITE_READONLY"}
"""What goes away by itself, or by room on the disk; after all else the file is opened anew."""


class _Unreadable(Exception):
    """The file holds what no registry wrote, or not any more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction; None drops an instance."""

    changed: Mapping[str, StoredInstance | None] = field(
        default_factory=dict[str, StoredInstance | None]
    )
    touched: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    events: tuple[Event, ...] = ()


class SqliteFile:
    """The file, open or not; one thread at a time may use it."""

    def __init__(self, path: Path, max_events: int) -> None:
        self.path = path
        self.notice = ""
        self._max_events = max_events
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def is_open(self) -> bool:
        """Whether it can be written."""
        return self._connection is not None

    def open(self, *, set_aside: bool) -> Snapshot:
        """Open the file, making it if it is not there, and read all of it.

        A file of the registry's own that cannot be read is replaced by a new one if that is said.

        Raises:
            StoreFailed: it cannot be had, or is no registry's.

        """
        self.close()
        try:
            return self._opened()
        except _Unreadable as error:
            if not set_aside or not _is_ours(self.path):
                raise self._failure(error) from None
            return self._opened_instead(error)
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def write(self, batch: Batch) -> None:
        """Write a batch, wholly or not at all; raise StoreFailed."""
        with self._transaction() as connection:
            _write(connection, batch)
            connection.execute(
                "DELETE FROM events WHERE number <= (SELECT MAX(number) FROM events) - ?",
                (self._max_events,),
            )

    def rewrite(self, snapshot: Snapshot) -> None:
        """Write all that there is, instead of what the file held; raise StoreFailed."""
        instances = {stored.instance.id: stored for stored in snapshot.instances}
        with self._transaction() as connection:
            connection.execute("DELETE FROM instances")
            connection.execute("DELETE FROM events")
            _write(connection, Batch(changed=instances, events=snapshot.events))

    def close(self) -> None:
        """Let the file go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        connection = self._connection
        if connection is None:
            raise StoreFailed(f"`{self.path}` is not open")
        if _inode(self.path) != self._inode:
            self.close()
            raise StoreFailed(f"`{self.path}` is not there any more")
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            if not isinstance(error, sqlite3.Error):
                raise
            if _name(error) not in _PASSING:
                self.close()
            raise self._failure(error) from None

    def _opened(self) -> Snapshot:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            snapshot = _prepared(connection)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            connection.close()
            raise _Unreadable(str(error)) from None
        except sqlite3.DatabaseError as error:
            connection.close()
            if _name(error).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise _Unreadable(str(error)) from None
            raise
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._inode = _inode(self.path)
        return snapshot

    def _opened_instead(self, error: Exception) -> Snapshot:
        """Set the file aside, where an earlier one gives way, and begin with a new one."""
        aside = self.path.with_name(f"{self.path.name}.corrupt")
        try:
            for part in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    # What is left of an unfinished one would be taken for the new one's.
                    self.path.with_name(self.path.name + part).replace(f"{aside}{part}")
            snapshot = self._opened()
        except (OSError, sqlite3.Error, _Unreadable) as second:
            raise self._failure(second) from None
        self.notice = f"`{self.path}` could not be read: {error}; it is kept as `{aside}`"
        return snapshot

    def _failure(self, error: Exception) -> StoreFailed:
        return StoreFailed(f"`{self.path}` cannot be used: {error}")


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_APPLICATION_ID_AT + 4)
    stamp = APPLICATION_ID.to_bytes(4)
    return path.name == FILE_NAME or (head.startswith(_MAGIC) and head.endswith(stamp))


def _name(error: sqlite3.Error) -> str:
    """Return the name of an error; those that Python itself raises have none."""
    return getattr(error, "sqlite_errorname", "")


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116  (with every batch, so as cheap as can be)
    except OSError:
        return 0


def _prepared(connection: sqlite3.Connection) -> Snapshot:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    # One registry at a time: two that wrote into one file would undo each other's work.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN EXCLUSIVE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:
        known = f"this release knows {SCHEMA_VERSION}"
        raise sqlite3.NotSupportedError(f"it has version {version}, and {known}")
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(verdict)
    rows = connection.execute("SELECT record, last_seen FROM instances ORDER BY id")
    instances = tuple(instance_of(record, last_seen) for record, last_seen in rows)
    rows = connection.execute("SELECT record FROM events ORDER BY number")
    events = tuple(event_of(record) for (record,) in rows)
    # Only what could be read says from now on whose it is.
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")
    return Snapshot(instances, events)


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    put = [
        (name, instance_record(stored), stored.last_seen.isoformat())
        for name, stored in batch.changed.items()
        if stored is not None
    ]
    _insert(connection, "INSERT OR REPLACE INTO instances (id, record, last_seen)", put)
    dropped = [(name,) for name, stored in batch.changed.items() if stored is None]
    connection.executemany("DELETE FROM instances WHERE id = ?", dropped)
    connection.executemany(
        "UPDATE instances SET last_seen = ? WHERE id = ?",
        [(at.isoformat(), name) for name, at in batch.touched.items()],
    )
    events = [(event_record(event),) for event in batch.events]
    _insert(connection, "INSERT INTO events (record)", events)


def _insert(
    connection: sqlite3.Connection, into: str, rows: Sequence[tuple[str | bytes, ...]]
) -> None:
    """Insert many rows at a time: between two statements the interpreter's lock changes hands."""
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        places = f"({', '.join('?' * len(some[0]))})"
        connection.execute(
            f"{into} VALUES {', '.join([places] * len(some))}",
            [value for row in some for value in row],
        )
