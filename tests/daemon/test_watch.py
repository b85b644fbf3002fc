"""Real files, watched with short delays."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from watchfiles._rust_notify import WatchfilesRustInternalError

from meshd.clock import SystemClock
from meshd.daemon import content, watch
from meshd.daemon.watch import Watcher, fingerprint

DEBOUNCE_SECONDS = 0.02

Changes = AsyncGenerator[frozenset[Path], None]


def watcher_of(
    *paths: Path, polling: bool = False, debounce_seconds: float = DEBOUNCE_SECONDS
) -> Watcher:
    watcher = Watcher(
        SystemClock(),
        debounce_seconds=debounce_seconds,
        poll_seconds=0.02,
        force_polling=polling,
    )
    watcher.watch(paths)
    return watcher


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "meshd-watch"]


@contextlib.asynccontextmanager
async def running(
    watcher: Watcher,
) -> AsyncGenerator[Callable[[], "asyncio.Future[list[Path]]"], None]:
    """Begin to iterate; the function given returns the next change, as a sorted list."""
    queue: asyncio.Queue[frozenset[Path]] = asyncio.Queue()

    async def iterate() -> None:
        async with contextlib.aclosing(watcher.changes()) as changes:
            async for changed in changes:
                queue.put_nowait(changed)

    async def following() -> list[Path]:
        async with asyncio.timeout(2):
            return sorted(await queue.get())

    async with asyncio.TaskGroup() as group:
        iterating = group.create_task(iterate())
        # Until it follows the folders, or it would see everything at its first look.
        while watcher.mode == "events" and not threads():
            await SystemClock().sleep(0.001)
        yield lambda: asyncio.ensure_future(following())
        iterating.cancel()
    assert queue.empty()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def replace(path: Path, text: str) -> None:
    os.replace(write(path.with_name(f".{path.name}.swp"), text), path)  # noqa: PTH105


def swap_link(link: Path, target: str) -> None:
    fresh = link.with_name("..fresh")
    fresh.symlink_to(target)
    os.replace(fresh, link)  # noqa: PTH105


class TestFingerprint:
    def test_equal_content_has_equal_digests(self, tmp_path: Path) -> None:
        one, other = write(tmp_path / "a", "x"), write(tmp_path / "b", "x")
        different = write(tmp_path / "c", "y")

        found = fingerprint([one, other, different])

        assert found[one] == found[other] != found[different]

    def test_what_cannot_be_read_is_marked(self, tmp_path: Path) -> None:
        pipe, loop = tmp_path / "pipe", tmp_path / "loop"
        os.mkfifo(pipe)
        loop.symlink_to(loop)
        missing, below = tmp_path / "missing", write(tmp_path / "file", "") / "below"

        assert fingerprint([pipe, loop, missing, below, Path("nul\0")]) == {
            pipe: content.UNREADABLE,
            loop: content.UNREADABLE,
            missing: content.MISSING,
            below: content.MISSING,
            Path("nul\0"): content.UNREADABLE,
        }

    @pytest.mark.parametrize(
        ("name", "counts"),
        [
            ("b.yaml", True),
            ("b.yml", True),
            ("deep/er/b.yml", True),
            ("b.py", False),
            (".b.yaml", False),
            (".git/b.yaml", False),
            ("a.yaml", False),
        ],
    )
    def test_a_folder_is_the_list_of_its_manifests(
        self, tmp_path: Path, name: str, counts: bool
    ) -> None:
        write(tmp_path / "a.yaml", "a")
        before = fingerprint([tmp_path])

        write(tmp_path / name, "other")

        assert (fingerprint([tmp_path]) != before) is counts


class TestLookups:
    def test_links_and_the_end(self, tmp_path: Path) -> None:
        write(tmp_path / "..1/mesh.yaml", "")
        (tmp_path / "..data").symlink_to("..1")
        (tmp_path / "mesh.yaml").symlink_to("..data/mesh.yaml")
        (tmp_path / "whole").symlink_to(tmp_path / "x/../mesh.yaml")
        write(tmp_path / "x/y", "")

        assert content.lookups(tmp_path / "whole") == tuple(
            str(tmp_path / name) for name in ("whole", "mesh.yaml", "..data", "..1/mesh.yaml")
        )

    def test_it_ends_where_something_is_missing(self, tmp_path: Path) -> None:
        assert content.lookups(tmp_path / "a/b/c") == (str(tmp_path / "a"),)

    def test_links_that_lead_nowhere_end(self, tmp_path: Path) -> None:
        loop = tmp_path / "loop"
        loop.symlink_to("loop")

        assert set(content.lookups(loop)) == {str(loop)}

    def test_a_relative_path_starts_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        assert content.lookups(Path("a.py")) == (str(tmp_path / "a.py"),)


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
class TestChanges:
    async def test_a_burst_is_one_change(self, tmp_path: Path, polling: bool) -> None:
        files = [write(tmp_path / name, "old") for name in ("a/x.py", "b/y.py", "z.yaml")]
        async with running(watcher_of(*files, polling=polling)) as following:
            for file in files:
                write(file, "new")

            assert await following() == files

    async def test_what_changes_no_content_is_none(self, tmp_path: Path, polling: bool) -> None:
        file, other = write(tmp_path / "a.py", "a"), write(tmp_path / "b.py", "b")
        async with running(watcher_of(file, other, tmp_path, polling=polling)) as following:
            file.touch()
            write(file, "a")
            replace(file, "a")
            file.chmod(0o600)
            for name in ("a.py~", ".a.py.swp", "4913", "__pycache__/a.cpython-311.pyc"):
                write(tmp_path / name, "x")
            await SystemClock().sleep(4 * DEBOUNCE_SECONDS)
            write(other, "B")

            assert await following() == [other]

    async def test_an_editor_replaces_the_file(self, tmp_path: Path, polling: bool) -> None:
        file = write(tmp_path / "a.py", "a")
        async with running(watcher_of(file, polling=polling)) as following:
            for text in ("b", "c"):
                replace(file, text)

                assert await following() == [file]

    async def test_deleted_and_back(self, tmp_path: Path, polling: bool) -> None:
        file = write(tmp_path / "pkg/sub/a.py", "a")
        async with running(watcher_of(file, polling=polling)) as following:
            file.unlink()
            assert await following() == [file]

            file.parent.rmdir()
            file.parent.parent.rmdir()
            write(file, "a")
            assert await following() == [file]

            write(file, "b")
            assert await following() == [file]

    async def test_what_does_not_exist_yet(self, tmp_path: Path, polling: bool) -> None:
        file, folder = tmp_path / "not/yet/a.py", tmp_path / "manifests"
        async with running(watcher_of(file, folder, polling=polling)) as following:
            write(file, "a")
            assert await following() == [file]

            folder.mkdir()
            assert await following() == [folder]

            write(folder / "deep/er/mesh.yaml", "")
            assert await following() == [folder]

            (folder / "deep").rename(tmp_path / "elsewhere")
            assert await following() == [folder]

    async def test_a_mounted_config_map(self, tmp_path: Path, polling: bool) -> None:
        for number in "12":
            write(tmp_path / f"..{number}/mesh.yaml", number)
        data, mesh = tmp_path / "..data", tmp_path / "mesh.yaml"
        data.symlink_to("..1")
        mesh.symlink_to("..data/mesh.yaml")
        async with running(watcher_of(tmp_path, mesh, polling=polling)) as following:
            swap_link(data, "..2")
            assert await following() == [mesh]

            write(tmp_path / "..2/mesh.yaml", "in place")
            assert await following() == [mesh]

            write(tmp_path / "..3/mesh.yaml", "3")
            write(tmp_path / "..3/more.yaml", "")
            swap_link(data, "..3")
            (tmp_path / "more.yaml").symlink_to("..data/more.yaml")
            assert await following() == [tmp_path, mesh]

    async def test_another_set(self, tmp_path: Path, polling: bool) -> None:
        old, new = write(tmp_path / "old/a.py", "a"), write(tmp_path / "new/b.py", "b")
        watcher = watcher_of(old, polling=polling)
        async with running(watcher) as following:
            watcher.watch([new])
            write(old, "A")
            write(new, "B")

            assert await following() == [new]

    async def test_what_changed_before_it_was_named(self, tmp_path: Path, polling: bool) -> None:
        file, other = write(tmp_path / "a.py", "a"), write(tmp_path / "b.py", "b")
        known = fingerprint([file, other])
        watcher = watcher_of(tmp_path / "other.py", polling=polling)
        async with running(watcher) as following:
            write(file, "A")
            watcher.watch([file, other], known)

            assert await following() == [file]

    async def test_what_changed_before_the_iteration(self, tmp_path: Path, polling: bool) -> None:
        file = write(tmp_path / "a.py", "a")
        watcher = watcher_of(file, polling=polling)
        write(file, "b")
        async with running(watcher) as following:
            assert await following() == [file]

    async def test_a_burst_without_end_is_told(self, tmp_path: Path, polling: bool) -> None:
        file, number = write(tmp_path / "a.py", "old"), 0
        delay = 2 * watch.STEP_MS / 1000  # events come in steps, which must not look like quiet
        watcher = watcher_of(file, polling=polling, debounce_seconds=delay)
        async with running(watcher) as following:
            changed = following()
            started = time.monotonic()  # noqa: TID251
            while not changed.done():
                number += 1
                replace(file, str(number))
                await SystemClock().sleep(0.005)
            lasted = time.monotonic() - started  # noqa: TID251

            assert changed.result() == [file]
            assert lasted > (watch.LONGEST_BURST - 1) * delay
            write(file, "last")
            assert await following() == [file]


async def test_the_slow_look_sees_what_events_do_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SLOW_POLL_SECONDS", 0.05)
    file = write(tmp_path / "release/pkg/a.py", "old")
    write(tmp_path / "next/pkg/a.py", "new")
    async with running(watcher_of(file)) as following:
        (tmp_path / "release").rename(tmp_path / "previous")
        (tmp_path / "next").rename(tmp_path / "release")
        assert await following() == [file]

        monkeypatch.setattr(watch, "SLOW_POLL_SECONDS", 60)
        replace(file, "newer")
        assert await following() == [file]


async def test_without_events_it_polls_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise WatchfilesRustInternalError("Too many open files (os error 24)")

    monkeypatch.setattr(watch, "RustNotify", refuse)
    file, other = write(tmp_path / "a.py", "a"), write(tmp_path / "b/b.py", "b")
    watcher = watcher_of(file)
    with caplog.at_level(logging.WARNING):
        async with running(watcher) as following:
            write(file, "b")
            assert await following() == [file]

            watcher.watch([file, other])
            write(other, "B")
            assert await following() == [other]

    assert watcher.mode == "polling"
    reason = "their changes cause no events (Too many open files (os error 24))"
    assert caplog.messages == [f"files are looked at every 0.02 s: {reason}"]


class BreakingNotify:
    """Gives no event, then an error, as when the system takes events away."""

    def __init__(self, *_: object, **__: object) -> None:
        self.closed = False

    def watch(self, *_: object) -> set[tuple[int, str]]:
        raise WatchfilesRustInternalError("No space left on device (os error 28)")

    def close(self) -> None:
        self.closed = True


async def test_when_events_end_it_goes_on_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "RustNotify", BreakingNotify)
    file = write(tmp_path / "a.py", "a")
    watcher = watcher_of(file)
    async with contextlib.aclosing(watcher.changes()) as changes, asyncio.timeout(2):
        first = asyncio.ensure_future(anext(changes))
        while watcher.mode == "events":
            await SystemClock().sleep(0.001)
        write(file, "b")

        assert await first == {file}
    assert "No space left on device" in caplog.text
    assert threads() == []


async def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    watcher = watcher_of(write(tmp_path / "a.py", "a"))
    async with running(watcher):
        assert threads() == ["meshd-watch"]
        ending = time.monotonic()  # noqa: TID251

    assert time.monotonic() - ending < 0.1  # noqa: TID251
    assert threads() == []


@pytest.mark.parametrize(
    ("kind", "remote"),
    [("nfs4", True), ("fuse.sshfs", True), ("9p", True), ("ext4", False), ("fuseblk", False)],
)
def test_file_systems_of_others(tmp_path: Path, kind: str, remote: bool) -> None:
    table = write(
        tmp_path / "mountinfo",
        f"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        f"36 21 0:30 / /mnt/a\\040b rw master:1 - {kind} server:/x rw\n",
    )

    assert watch.remote_reason(["/mnt/a b/c"], table) == (
        f"`/mnt/a b/c` is on {kind}" if remote else None
    )
    assert watch.remote_reason(["/mnt/a"], table) is None
    assert watch.remote_reason(["/mnt/a b"], tmp_path / "none") is None
