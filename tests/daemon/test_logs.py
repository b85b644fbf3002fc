"""Real pipes into real files, and back."""

import asyncio
import contextlib
import itertools
import os
import resource
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshd.clock import SystemClock
from meshd.daemon.log_lines import MAX_LINE_BYTES, LineSplitter, LogLine, shown, stored
from meshd.daemon.log_reading import Wanted, follow, tail
from meshd.daemon.logs import LINES_PER_TURN, InstanceLogs

START = datetime(2026, 1, 1, tzinfo=UTC)


class SteppingClock:
    """Each look is a second (and some µs) later."""

    def __init__(self) -> None:
        self.looks = 0

    def monotonic(self) -> float:
        raise NotImplementedError

    def now(self) -> datetime:
        self.looks += 1
        return START + timedelta(seconds=self.looks, microseconds=7)

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(0)


@contextlib.contextmanager
def logging_to(
    folder: Path, lines: list[LogLine], file_bytes: int = 5_000_000
) -> Generator[InstanceLogs, None, None]:
    logs = InstanceLogs(folder, lines.append, clock=SteppingClock(), file_bytes=file_bytes)
    try:
        yield logs
    finally:
        logs.close()


@contextlib.contextmanager
def pipe_to(logs: InstanceLogs, instance: str) -> Generator[int, None, None]:
    reading, writing = os.pipe()
    logs.add(instance, reading)
    try:
        yield writing
    finally:
        os.close(writing)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await SystemClock().sleep(0.001)


async def passed_on(folder: Path, *pieces: bytes, file_bytes: int = 5_000_000) -> list[LogLine]:
    """Return what an instance that writes the pieces is shown to have written."""
    lines: list[LogLine] = []
    with logging_to(folder, lines, file_bytes) as logs:
        with pipe_to(logs, "one-1") as writing:
            for piece in pieces:
                os.write(writing, piece)
                await SystemClock().sleep(0)
        await logs.closed("one-1")
    return lines


def texts(lines: Iterable[LogLine]) -> list[str]:
    return [line.text for line in lines]


class TestLines:
    @pytest.mark.parametrize(
        ("pieces", "lines"),
        [
            ([b"a\nb\n"], ["a", "b"]),
            ([b"a", b"b\nc", b""], ["ab", "c"]),
            ([b"a\r\nb\r", b"\nc\r", b"d\n"], ["a", "b", "c", "d"]),
            ([b"\r10%\r20%\n"], ["", "10%", "20%"]),
            ([b"\n\n"], ["", ""]),
            ([], []),
            ([b"\xc3", b"\xa4\n"], ["ä"]),
            ([b"\xff\xfeok\n"], ["\ufffd\ufffdok"]),
            ([b"x" * MAX_LINE_BYTES + b"\n"], ["x" * MAX_LINE_BYTES]),
            ([b"x" * (MAX_LINE_BYTES + 1)], ["x" * MAX_LINE_BYTES, "x"]),
            (
                [b"x", *["€".encode() * 1000] * 6],
                ["x" + "€" * (MAX_LINE_BYTES // 3), "€" * (6000 - MAX_LINE_BYTES // 3)],
            ),
        ],
    )
    def test_from_pieces(self, pieces: list[bytes], lines: list[str]) -> None:
        splitter = LineSplitter()

        found = [line for piece in pieces for line in splitter.feed(piece)]

        assert [*found, *splitter.end()] == lines
        assert splitter.end() == []

    @pytest.mark.parametrize(
        ("printed", "text"),
        [
            ("plain", "plain"),
            ("tab\tand ünïcode 🎉", "tab\tand ünïcode 🎉"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b[2J\x1b[Hcleared", "cleared"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
            ("\x1b]0;without end", "0;without end"),
            ("\x1bc\x1b(Breset\x1b", r"reset\x1b"),
            ("bell\x07 back\x08 \x00 \x9b31m", r"bell\x07 back\x08 \x00 \x9b31m"),
            ("to the \u202eleft", r"to the \u202eleft"),
        ],
    )
    def test_no_terminal_is_steered(self, printed: str, text: str) -> None:
        assert shown(printed.encode()) == text


class TestInstanceLogs:
    async def test_lines_are_shown_and_kept(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path / "new/logs", lines) as logs:
            with pipe_to(logs, "one-1") as writing:
                os.write(writing, b"first\n\x1b[1msec")
                await until(lambda: len(lines) == 1)
                os.write(writing, b"ond\nlast")
                await until(lambda: len(lines) == 2)
            await logs.closed("one-1")

        expected = [
            LogLine("one-1", START + timedelta(seconds=1), "first"),
            LogLine("one-1", START + timedelta(seconds=2), "second"),
            LogLine("one-1", START + timedelta(seconds=3), "last"),
        ]
        assert lines == expected
        assert (tmp_path / "new/logs/one-1.log").read_text() == (
            "2026-01-01T00:00:01.000Z first\n"
            "2026-01-01T00:00:02.000Z second\n"
            "2026-01-01T00:00:03.000Z last\n"
        )
        assert tail(tmp_path / "new/logs", None, 10) == expected

    async def test_only_the_user_may_read_them(self, tmp_path: Path) -> None:
        await passed_on(tmp_path / "logs", b"secret\n")

        modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("logs", "logs/one-1.log")]
        assert modes == [0o700, 0o600]

    async def test_incarnations_share_a_file(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path, lines) as logs:
            with pipe_to(logs, "one-1") as old, pipe_to(logs, "one-1") as new:
                os.write(old, b"old")
                os.write(new, b"new\n")
                await until(lambda: lines)
            await logs.closed("one-1")
            with pipe_to(logs, "one-1") as newest:
                os.write(newest, b"newest\n")
            await logs.closed("one-1")

        assert texts(lines) == texts(tail(tmp_path, ["one-1"], 10)) == ["new", "old", "newest"]

    async def test_closed_waits_for_the_end(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path, lines) as logs:
            with pipe_to(logs, "one-1") as writing:
                os.write(writing, b"a\n" * 3 * LINES_PER_TURN)
                closed = asyncio.ensure_future(logs.closed("one-1"))
                await until(lambda: len(lines) == 3 * LINES_PER_TURN)
                assert not closed.done()
            await closed
            await logs.closed("unknown")

    async def test_close_takes_what_there_is(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with (
            logging_to(tmp_path, lines) as logs,
            pipe_to(logs, "one-1") as writing,
            pipe_to(logs, "silent-1"),
        ):
            os.write(writing, b"a\nb")
            logs.close()

            assert texts(lines) == ["a", "b"]
            with pytest.raises(BrokenPipeError):
                os.write(writing, b"c")
        assert texts(tail(tmp_path, None, 9)) == ["a", "b"]

    async def test_any_name_stays_in_the_folder(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path / "logs", lines) as logs:
            with pipe_to(logs, "../team/one-1") as writing:
                os.write(writing, b"a\n")
            await logs.closed("../team/one-1")

        assert os.listdir(tmp_path) == ["logs"]  # noqa: PTH208
        assert tail(tmp_path / "logs", None, 1) == lines
        assert lines[0].instance == "../team/one-1"

    async def test_files_are_bounded(self, tmp_path: Path) -> None:
        piece = b"".join(b"%03d\n" % number for number in range(100))
        lines = await passed_on(tmp_path, *[piece] * 10, file_bytes=10_000)

        sizes = {name: (tmp_path / name).stat().st_size for name in os.listdir(tmp_path)}  # noqa: PTH208
        assert sizes.keys() == {"one-1.log", "one-1.log.1"}
        assert all(size <= 10_000 for size in sizes.values())
        assert len(lines) == 1000
        kept = tail(tmp_path, None, 1000)
        assert len(kept) == sum(sizes.values()) // len(stored(lines[0]))
        assert kept == lines[-len(kept) :]

    async def test_a_full_disk_holds_nobody_up(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path, lines) as logs, pipe_to(logs, "one-1") as writing:
            os.write(writing, b"before\n")
            await until(lambda: len(lines) == 1)
            with files_of_at_most(60):
                os.write(writing, b"cut off somewhere\n")
                await until(lambda: len(lines) == 2)
                os.write(writing, b"lost\n")
                await until(lambda: len(lines) == 3)
                problem = logs.problem
            os.write(writing, b"after\n")
            await until(lambda: len(lines) == 4)

            assert problem == f"cannot write `{tmp_path}/one-1.log`: File too large"
            assert logs.problem is None
        assert texts(lines) == ["before", "cut off somewhere", "lost", "after"]
        assert texts(tail(tmp_path, None, 9)) == [
            "before",
            "cut",
            "meshd: lines that could not be written here: 2",
            "after",
        ]
        assert [record.getMessage() for record in caplog.records] == [
            f"logs cannot be written: `{tmp_path}/one-1.log`: File too large",
            "logs can be written again",
        ]

    async def test_a_folder_that_cannot_be_made(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder, lines = tmp_path / "logs", list[LogLine]()
        folder.write_text("no folder")
        with (
            logging_to(folder, lines) as logs,
            pipe_to(logs, "one-1") as one,
            pipe_to(logs, "two-1") as two,
        ):
            os.write(one, b"a\n")
            await until(lambda: len(lines) == 1)
            os.write(two, b"b\n")
            await until(lambda: len(lines) == 2)
            assert logs.problem == f"cannot write `{folder}/one-1.log`: File exists"

            folder.unlink()
            os.write(one, b"c\n")
            os.write(two, b"d\n")
            await until(lambda: len(lines) == 4)
            assert logs.problem is None

        gap = "meshd: lines that could not be written here: 1"
        assert texts(tail(folder, ["one-1"], 9)) == [gap, "c"]
        assert len(caplog.records) == 2

    async def test_a_file_that_is_taken_away_is_made_again(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        with logging_to(tmp_path / "logs", lines) as logs, pipe_to(logs, "one-1") as writing:
            os.write(writing, b"a\n")
            await until(lambda: len(lines) == 1)
            (tmp_path / "logs/one-1.log").unlink()
            (tmp_path / "logs").rmdir()
            os.write(writing, b"b\n")
            await until(lambda: len(lines) == 2)

        assert texts(tail(tmp_path / "logs", None, 9)) == ["b"]

    @pytest.mark.parametrize("kind", ["link", "pipe"])
    async def test_it_writes_to_ordinary_files_only(self, tmp_path: Path, kind: str) -> None:
        log, elsewhere = tmp_path / "one-1.log", tmp_path / "elsewhere"
        if kind == "link":
            log.symlink_to(elsewhere)
        else:
            os.mkfifo(log)

        assert texts(await passed_on(tmp_path, b"a\n")) == ["a"]
        assert not elsewhere.exists()

    async def test_others_have_their_turn(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []
        turns: list[int] = []
        with logging_to(tmp_path, lines) as logs, pipe_to(logs, "one-1") as writing:
            os.write(writing, b"\n" * 20 * LINES_PER_TURN)
            while len(lines) < 20 * LINES_PER_TURN:
                turns.append(len(lines))
                await SystemClock().sleep(0)

        shown_each = [after - before for before, after in itertools.pairwise(turns)]
        assert max(shown_each) <= LINES_PER_TURN

    async def test_who_shows_lines_may_fail(self, tmp_path: Path) -> None:
        lines: list[LogLine] = []

        def show(line: LogLine) -> None:
            lines.append(line)
            if line.text == "bad":
                raise ValueError(line.text)

        failures: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        logs = InstanceLogs(tmp_path, show)
        with pipe_to(logs, "one-1") as writing:
            for text in (b"bad\n", b"good\n"):
                os.write(writing, text)
                await until(lambda text=text: text.decode().strip() in texts(lines))
        await logs.closed("one-1")

        assert texts(lines) == ["bad", "good"]
        assert list(map(repr, failures)) == ["ValueError('bad')"]


@contextlib.contextmanager
def files_of_at_most(size: int) -> Generator[None, None, None]:
    """Let this process write no larger files; like a full disk, the limit cuts a write short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def line(instance: str, second: int, text: str = "") -> LogLine:
    return LogLine(instance, START + timedelta(seconds=second), text or f"{instance} at {second}")


def write(folder: Path, *lines: LogLine, suffix: str = ".log") -> None:
    folder.mkdir(exist_ok=True)
    for each in lines:
        with (folder / f"{each.instance}{suffix}").open("ab") as file:
            file.write(stored(each))


class TestTail:
    @pytest.mark.parametrize(
        ("wanted", "count", "expected"),
        [
            (None, 9, [line("a", 1), line("b", 2), line("a", 3), line("b", 4)]),
            ([], 2, [line("a", 3), line("b", 4)]),
            (["a"], 9, [line("a", 1), line("a", 3)]),
            (["a", "unknown"], 1, [line("a", 3)]),
            (lambda name: name == "b", 1, [line("b", 4)]),  # type: ignore[misc]
            (None, 0, []),
        ],
    )
    def test_the_last_lines_of_some(
        self, tmp_path: Path, wanted: Wanted, count: int, expected: list[LogLine]
    ) -> None:
        write(tmp_path, *(line(name, second) for name, second in [("a", 1), ("b", 2), ("a", 3)]))
        write(tmp_path, line("b", 4))
        (tmp_path / "other").write_text("no log")

        assert tail(tmp_path, wanted, count) == expected

    def test_nothing_is_there(self, tmp_path: Path) -> None:
        assert tail(tmp_path / "none", None, 9) == []

    def test_what_is_no_line_is_left_out(self, tmp_path: Path) -> None:
        write(tmp_path, line("a", 1))
        with (tmp_path / "a.log").open("ab") as file:
            file.write(b"noise\n2026-01-01T00:00:00 no zone\n\xff\n")
        write(tmp_path, line("a", 2))
        with (tmp_path / "a.log").open("ab") as file:
            file.write(b"2026-01-01T00:00:00Z not comple")

        assert tail(tmp_path, None, 9) == [line("a", 1), line("a", 2)]

    @pytest.mark.parametrize("count", [1, 149, 150, 151, 2500, 3000, 4000])
    def test_older_files_and_many_blocks(self, tmp_path: Path, count: int) -> None:
        lines = [line("a", number, "x" * (number % 150)) for number in range(1, 3001)]
        folder = tmp_path / "logs"
        folder.mkdir()
        (folder / "a.log.1").write_bytes(b"".join(map(stored, lines[:2850])))
        (folder / "a.log").write_bytes(b"".join(map(stored, lines[2850:])))

        found = tail(folder, None, count)

        assert [each.at for each in found] == [each.at for each in lines[-count:]]


@contextlib.asynccontextmanager
async def following(
    folder: Path, wanted: Wanted = None, *, lines: int = 0
) -> AsyncGenerator[Callable[[int], "asyncio.Future[list[LogLine]]"], None]:
    """Follow; the function given returns so many next lines."""
    followed = follow(folder, wanted, lines=lines, poll_seconds=0.002)

    async def take(iterator: AsyncIterator[LogLine], count: int) -> list[LogLine]:
        async with asyncio.timeout(2):
            return [await anext(iterator) for _ in range(count)]

    async with contextlib.aclosing(followed):
        yield lambda count: asyncio.ensure_future(take(followed, count))


class TestFollow:
    async def test_without_a_gap(self, tmp_path: Path) -> None:
        write(tmp_path, line("a", 1), line("a", 2), line("b", 3))
        async with following(tmp_path, lines=2) as lines:
            assert await lines(2) == [line("a", 2), line("b", 3)]

            write(tmp_path, line("b", 4), line("a", 5))
            assert await lines(2) == [line("b", 4), line("a", 5)]

    async def test_new_instances_are_followed_if_wanted(self, tmp_path: Path) -> None:
        folder = tmp_path / "logs"
        async with following(folder, lambda name: name != "b") as lines:
            first = lines(2)
            await SystemClock().sleep(0.005)
            write(folder, line("a", 1), line("b", 2), line("c", 3))

            assert sorted(texts(await first)) == ["a at 1", "c at 3"]

    async def test_half_a_line_is_waited_for(self, tmp_path: Path) -> None:
        whole = stored(line("a", 1))
        write(tmp_path, line("a", 0))
        with (tmp_path / "a.log").open("ab", buffering=0) as file:
            file.write(whole[:10])
            async with following(tmp_path) as lines:
                first = lines(1)
                await SystemClock().sleep(0.005)
                file.write(whole[10:-1])
                await SystemClock().sleep(0.005)
                assert not first.done()
                file.write(b"\n")

                assert await first == [line("a", 1)]

    @pytest.mark.parametrize("files", [1, 2])
    async def test_files_that_were_replaced(self, tmp_path: Path, files: int) -> None:
        write(tmp_path, line("a", 1))
        log = tmp_path / "a.log"
        async with following(tmp_path, lines=1) as lines:
            await lines(1)
            for number in range(files):
                write(tmp_path, line("a", 10 * number + 2))
                log.replace(tmp_path / "a.log.1")
                write(tmp_path, line("a", 10 * number + 3))

            expected = [line("a", 10 * number + at) for number in range(files) for at in (2, 3)]
            assert await lines(len(expected)) == expected

            write(tmp_path, line("a", 99))
            assert await lines(1) == [line("a", 99)]

    async def test_a_file_that_was_emptied_or_removed(self, tmp_path: Path) -> None:
        write(tmp_path, line("a", 1), suffix=".log.1")
        write(tmp_path, line("a", 2), line("a", 3))
        log = tmp_path / "a.log"
        async with following(tmp_path, lines=3) as lines:
            await lines(3)
            first = lines(1)
            log.write_bytes(b"")
            await SystemClock().sleep(0.01)
            write(tmp_path, line("a", 4))
            assert await first == [line("a", 4)]

            second = lines(1)
            log.unlink()
            await SystemClock().sleep(0.01)
            write(tmp_path, line("a", 5))
            assert await second == [line("a", 5)]

    async def test_much_at_once(self, tmp_path: Path) -> None:
        write(tmp_path, line("a", 0))
        many = [line("a", number, "x" * 1000) for number in range(1, 2001)]
        async with following(tmp_path) as lines:
            taken = lines(len(many))
            await SystemClock().sleep(0.01)
            with (tmp_path / "a.log").open("ab") as file:
                file.write(b"".join(map(stored, many)))

            assert await taken == many

    async def test_what_logs_write(self, tmp_path: Path) -> None:
        shown_lines: list[LogLine] = []
        with logging_to(tmp_path, shown_lines, file_bytes=4000) as logs:
            async with following(tmp_path) as lines:
                taken = lines(500)
                with pipe_to(logs, "a-1") as writing:
                    for number in range(50):
                        os.write(writing, b"%d\n" % number * 10)
                        await SystemClock().sleep(0.004)
                assert await taken == shown_lines
