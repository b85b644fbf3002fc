"""What a file may be that is no store, and what happens when it cannot be written."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from meshd.registry.records import event_record, instance_record
from meshd.registry.store import Snapshot, StoreFailed
from meshd.registry.stores.sqlite import SqliteStore
from tests.store_contract.test_contract import event, stored


def connection(store: SqliteStore) -> sqlite3.Connection:
    found = store._file._connection  # pyright: ignore[reportPrivateUsage]
    assert found is not None
    return found


def not_sqlite(path: Path) -> None:
    path.write_text("this is no database, and long enough to be taken for one" * 100)


def a_folder(path: Path) -> None:
    path.mkdir()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA user_version = 99")


def other_tables(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE instances (something TEXT)")


def bad_record(path: Path) -> None:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE instances (id TEXT PRIMARY KEY, record BLOB, last_seen TEXT)")
        made.execute("INSERT INTO instances VALUES ('a-1', '{}', '')")


async def test_a_file_of_the_first_version_is_read_and_kept_up(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    fields = orjson.loads(instance_record(stored("a-1")))
    del fields["instance"]["interval_seconds"]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.executescript(
            """
            PRAGMA user_version = 1;
            CREATE TABLE instances
              (id TEXT PRIMARY KEY, record BLOB NOT NULL, last_seen TEXT NOT NULL);
            CREATE TABLE events
              (number INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL);
            """
        )
        row = ("a-1", orjson.dumps(fields), stored("a-1").last_seen.isoformat())
        made.execute("INSERT INTO instances VALUES (?, ?, ?)", row)
        made.execute("INSERT INTO events (record) VALUES (?)", (event_record(event(1)),))

    store = SqliteStore(path)
    assert await store.load() == Snapshot((stored("a-1"),), (event(1),))
    store.put(stored("b-1", interval_seconds=20.0))
    await store.close()
    found = await (again := SqliteStore(path)).load()
    await again.close()
    assert found.instances == (stored("a-1"), stored("b-1", interval_seconds=20.0))
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (not_sqlite, "notes.txt"),
        (bad_record, "other.sqlite"),
        (other_tables, "other.sqlite"),
        (other_tables, "registry.sqlite"),
        (newer, "registry.sqlite"),
        (a_folder, "registry.sqlite"),
    ],
)
async def test_what_is_no_store_is_refused_and_left_alone(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    content = path.read_bytes() if path.is_file() else b""
    store = SqliteStore(path)
    for set_aside in (False, True):
        with pytest.raises(StoreFailed, match="cannot be used"):
            await store.load(set_aside=set_aside)
    await store.close()

    assert (path.read_bytes() if path.is_file() else b"")[:16] == content[:16]
    assert not store.is_open
    assert store.notice == ""


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    path.write_bytes(content)


async def kept(path: Path) -> None:
    store = SqliteStore(path)
    await store.load()
    store.put(stored("a-1"))
    await store.close()


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (not_sqlite, "registry.sqlite"),
        (bad_record, "registry.sqlite"),
        (cut_short, "agents.db"),
        (overwritten, "agents.db"),
    ],
)
async def test_a_file_of_its_own_that_cannot_be_read_is_set_aside(
    harm: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if harm is not bad_record:
        await kept(path)
    harm(path)
    harmed = path.read_bytes()
    store = SqliteStore(path)

    with pytest.raises(StoreFailed, match="cannot be used"):
        await store.load()
    assert await store.load(set_aside=True) == Snapshot()
    aside = tmp_path / f"{name}.corrupt"
    assert store.notice.startswith(f"`{path}` could not be read: ")
    assert store.notice.endswith(f"; it is kept as `{aside}`")
    assert aside.read_bytes()[:16] == harmed[:16]
    store.put(stored("b-1"))
    await store.close()
    found = await (again := SqliteStore(path)).load()
    assert (found.instances, again.notice) == ((stored("b-1"),), "")
    await again.close()


async def test_a_file_that_vanishes_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    await store.load()
    path.unlink()
    store.put(stored("a-1"))
    with pytest.raises(StoreFailed, match="not there any more"):
        await store.write()
    assert not store.is_open
    with pytest.raises(StoreFailed, match="not open"):
        await store.write()
    assert await store.load() == Snapshot()
    store.put(stored("b-1"))
    await store.rewrite(Snapshot((stored("a-1"), stored("b-1")), (event(1),)))
    store.drop("a-1")
    await store.close()

    found = await (again := SqliteStore(path)).load()
    await again.close()
    assert found == Snapshot((stored("b-1"),), (event(1),))


async def test_a_file_that_breaks_while_it_is_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    await store.load()
    for number in range(300):
        store.put(stored(f"a-{number}", description="x" * 900))
    await store.write()
    connection(store).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection(store).execute("PRAGMA cache_size = 0")
    overwritten(path)
    store.put(stored("a-1"))
    with pytest.raises(StoreFailed, match="malformed"):
        await store.write()

    assert not store.is_open
    assert await store.load(set_aside=True) == Snapshot()
    assert store.notice
    await store.close()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="unable to open"):
        await SqliteStore(tmp_path / "no" / "registry.sqlite").load()


async def test_two_registries_cannot_share_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshd.registry.sqlite_file.BUSY_MILLISECONDS", 1)
    first = SqliteStore(tmp_path / "registry.sqlite")
    await first.load()
    with pytest.raises(StoreFailed, match="locked"):
        await SqliteStore(tmp_path / "registry.sqlite").load()
    await first.close()


async def test_a_store_that_is_not_open_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="not open"):
        await SqliteStore(tmp_path / "registry.sqlite").write()


async def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "registry.sqlite")
    await store.load()
    connection(store).execute("PRAGMA query_only = 1")
    store.put(stored("a-1"))
    store.touch("b-1", stored("b-1").last_seen)
    store.append([event(1)])
    with pytest.raises(StoreFailed, match="readonly"):
        await store.write()
    store.put(stored("b-1"))
    store.append([event(2)])
    connection(store).execute("PRAGMA query_only = 0")
    await store.write()
    await store.close()

    found = await (again := SqliteStore(tmp_path / "registry.sqlite")).load()
    await again.close()
    assert found.instances == (stored("a-1"), stored("b-1"))
    assert found.events == (event(1), event(2))


async def test_a_disk_that_stays_full_does_not_fill_the_memory(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "registry.sqlite")
    await store.load()
    store.put(stored("kept-1"))
    await store.write()
    connection(store).execute("PRAGMA query_only = 1")
    store.drop("kept-1")
    for number in range(5):
        store.put(stored(f"a-{number}"))
        store.append([event(number)])
        with pytest.raises(StoreFailed):
            await store.write()
        store.drop(f"a-{number}")

    assert store._changed == {"kept-1": None}  # pyright: ignore[reportPrivateUsage]
    connection(store).execute("PRAGMA query_only = 0")
    await store.close()
    found = await (again := SqliteStore(tmp_path / "registry.sqlite")).load()
    await again.close()
    assert found.instances == ()


async def test_closing_a_store_that_cannot_write_does_not_raise(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "registry.sqlite")
    await store.load()
    connection(store).execute("PRAGMA query_only = 1")
    store.put(stored("a-1"))
    await store.close()


async def test_a_record_that_cannot_be_encoded_stays_and_the_defect_shows(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "registry.sqlite")
    await store.load()
    store.put(stored("a-1", description=object()))
    with pytest.raises(TypeError):
        await store.write()
    store.put(stored("a-1"))
    await store.close()
