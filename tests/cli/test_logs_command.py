import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshd.cli import logs
from meshd.cli.app import execute
from meshd.cli.logs import wanted_by
from meshd.cli.target import BadRequest
from meshd.daemon.log_lines import LogLine, file_name, stored
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status

Output = pytest.CaptureFixture[str]


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC)


def write(state: Path, *lines: LogLine) -> None:
    folder = state / "logs"
    folder.mkdir(exist_ok=True)
    for line in lines:
        with (folder / file_name(line.instance)).open("ab") as file:
            file.write(stored(line))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    write(
        tmp_path,
        LogLine("geo-1", at(1), "one"),
        LogLine("planner-1", at(2), "two [red]"),
        LogLine("registry", at(3), "three"),
        LogLine("geo-2", at(4), "four"),
        LogLine("west--geo-1", at(5), "five"),
    )
    return tmp_path


def texts(capsys: Output) -> list[str]:
    return [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["geo-1 | one", "planner-1 | two [red]", "registry | three", "geo-2 | four"]),
        (["geo"], ["geo-1 | one", "geo-2 | four"]),
        (["default/geo"], ["geo-1 | one", "geo-2 | four"]),
        (["geo-2"], ["geo-2 | four"]),
        (["registry", "planner"], ["planner-1 | two [red]", "registry | three"]),
        (["planner", "-n", "5", "registry"], ["planner-1 | two [red]", "registry | three"]),
        (["geo", "-n", "1"], ["geo-2 | four"]),
        (["geo", "-n", "0"], []),
        (["west/geo"], ["west--geo-1 | five"]),
    ],
)
def test_logs(state: Path, capsys: Output, words: list[str], expected: list[str]) -> None:
    assert execute(["logs", *words, "--state-dir", str(state)]) == 0
    assert [text for text in texts(capsys) if words or "west" not in text] == expected


def test_logs_as_json(state: Path, capsys: Output) -> None:
    assert execute(["logs", "planner", "--format", "json", "--state-dir", str(state)]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"instance": "planner-1", "at": "2026-01-01T12:00:02.000Z", "text": "two [red]"}
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["planer"], "nothing called `planer` has printed; did you mean `planner`?"),
        (["geo-3"], "nothing called `geo-3` has printed; did you mean `geo-2`?"),
        (["zzz"], "nothing called `zzz` has printed"),
        (["-n", "-1"], "`--lines`: -1 lines cannot be printed"),
    ],
)
def test_logs_of_what_is_not_there(
    state: Path, capsys: Output, words: list[str], message: str
) -> None:
    assert execute(["logs", *words, "--state-dir", str(state)]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_logs_where_nothing_has_printed(tmp_path: Path, capsys: Output) -> None:
    assert execute(["logs", "--state-dir", str(tmp_path)]) == 1
    assert f"nothing has printed to the state directory `{tmp_path}`" in capsys.readouterr().err


def test_agents_that_share_a_process_have_its_log(state: Path, capsys: Output) -> None:
    write(state, LogLine("batch-1", at(6), "six"))
    shared = agent("sums", instance("sums-ab12-1", process="batch-1"))
    with answering(state, FakeDaemon(status(shared, agent("idle")))):
        for name in ("sums", "sums-ab12-1"):
            assert execute(["logs", name, "--state-dir", str(state)]) == 0
            assert texts(capsys) == ["batch-1 | six"]
        assert execute(["logs", "idle", "--state-dir", str(state)]) == 0
        assert texts(capsys) == []


def test_a_name_is_not_taken_for_a_longer_one() -> None:
    wanted = wanted_by(["trip"], ["trip-1", "trip-planner-1"], dict)
    assert [wanted(log) for log in ("trip-1", "trip-12", "trip-planner-1", "trip")] == [
        True,
        True,
        False,
        True,
    ]
    with pytest.raises(BadRequest):
        wanted_by(["tri"], ["trip-1"], dict)


def test_logs_are_followed_over_restarts_until_ctrl_c(
    state: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text.partition(" ")[2])
        if len(shown) == 1:
            write(state, LogLine("geo-1", at(7), "seven"))
        elif len(shown) == 2:
            (state / "logs" / file_name("geo-1")).rename(state / "logs" / "geo-1.log.1")
            write(state, LogLine("geo-1", at(8), "eight"), LogLine("geo-3", at(9), "nine"))
        elif len(shown) == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(logs, "show", show)
    assert execute(["logs", "-f", "geo", "-n", "1", "--state-dir", str(state)]) == 130
    assert shown == ["geo-2 | four", "geo-1 | seven", "geo-1 | eight", "geo-3 | nine"]


def test_names_of_logs_have_colours_on_a_terminal() -> None:
    line = LogLine("geo-1", at(1), "one")
    assert logs.as_text(colour=True)(line).endswith("mgeo-1\x1b[0m | one")
    assert logs.as_text(colour=False)(line).endswith(" geo-1 | one")
