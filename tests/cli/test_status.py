import json
from pathlib import Path
from typing import Any

import pytest

from meshd.cli.app import execute
from meshd.cli.standing import change_lines, missing, rows
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status

Output = pytest.CaptureFixture[str]

PROBLEM = {
    "code": "M201",
    "severity": "error",
    "message": "it is broken",
    "file": "geo.py",
    "line": 3,
    "column": 7,
    "hint": "mend it",
}
MESH = status(
    agent("planner", instance("planner-1"), instance("planner-2", restarts=2), waiting_for=["x.y"]),
    agent(
        "geo",
        instance(
            "geo-1", "waiting", reason="was killed [9]", registry="gone", diagnostics=[PROBLEM]
        ),
        status="starting",
    ),
    agent("idle", status="stopped"),
    generation=3,
    pid=77,
    registry={"url": "http://127.0.0.1:8000", "status": "waiting", "reason": "it died"},
    report="error[M120]: unknown key `[red]`",
)


def test_status_tells_how_everything_fares_and_why(tmp_path: Path, capsys: Output) -> None:
    with answering(tmp_path, FakeDaemon(MESH)):
        assert execute(["status", "--state-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "mesh running generation 3, process 77",
        "registry waiting http://127.0.0.1:8000 (it died)",
        "",
        "agent instance status pid restarts endpoint why",
        "planner planner-1 ready 100 0 http://127.0.0.1:4000/mcp waits for x.y",
        "planner planner-2 ready 100 2 http://127.0.0.1:4000/mcp waits for x.y",
        "geo geo-1 waiting 100 0 http://127.0.0.1:4000/mcp was killed [9]; registry: gone",
        "idle - stopped - 0 -",
        "",
        "geo-1: error[M201]: it is broken",
        "--> geo.py:3:7",
        "hint: mend it",
        "",
        "error[M120]: unknown key `[red]`",
        "",
    ]


def test_status_as_json_is_what_the_daemon_says(tmp_path: Path, capsys: Output) -> None:
    with answering(tmp_path, FakeDaemon(MESH)):
        assert execute(["status", "--format", "json", "--state-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == MESH


def test_an_agent_without_instances_has_a_row(tmp_path: Path) -> None:
    (row,) = rows(status(agent("geo", status="starting", waiting_for=["a"], replicas=1)))
    assert (row.agent, row.instance, row.status, row.pid, row.why) == (
        "geo",
        "",
        "starting",
        None,
        "",
    )
    assert not row.is_fine


READY = agent("a", instance("a-1"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (status(), []),
        (status(READY), []),
        (status(READY, agent("b", status="stopped")), []),
        (status(READY, phase="starting"), ["the mesh is starting"]),
        (status(agent("b", status="stopped", replicas=1)), ["`b` is stopped"]),
        (
            status(agent("b", status="starting", replicas=1, waiting_for=["x"])),
            ["`b` is starting"],
        ),
        (
            status(agent("b", instance("b-1", waiting_for=[]), waiting_for=["x", "x", "y"])),
            ["`b` waits for `x`", "`b` waits for `y`"],
        ),
        (
            status(
                agent(
                    "b",
                    instance("b-1"),
                    instance("b-2", "failed", reason="it died"),
                    namespace="west",
                    status="degraded",
                )
            ),
            ["`west/b` is degraded (it died)"],
        ),
    ],
)
def test_what_is_missing(told: dict[str, Any], expected: list[str]) -> None:
    assert missing(told) == expected


def test_changes_in_words() -> None:
    changes = {
        "started": ["a"],
        "stopped": ["b"],
        "restarted": {"c": ["`c`: env changed", "a Python file changed"]},
        "rescaled": ["d"],
        "unchanged": ["e"],
    }
    assert change_lines(changes) == [
        "started a",
        "restarted c (`c`: env changed; a Python file changed)",
        "rescaled d",
        "stopped b",
    ]
    assert change_lines({}) == []
