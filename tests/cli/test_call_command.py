from pathlib import Path
from typing import Any

import pytest

from meshd.cli.app import execute
from meshd.cli.call import failure_text, ready_endpoint
from meshd.errors import CallError, CallTimedOut, ConnectionLost, ToolFailed, Unavailable
from tests.cli.daemons import FakeDaemon, agent, answering, instance, status

Output = pytest.CaptureFixture[str]


def test_the_first_instance_that_is_ready_is_called() -> None:
    mesh: dict[str, Any] = {
        "agents": [
            agent("geo", instance("geo-1"), namespace="west"),
            agent(
                "geo",
                instance("geo-1", "waiting", endpoint="http://127.0.0.1:1"),
                instance("geo-2", endpoint="http://127.0.0.1:2"),
                instance("geo-3", endpoint="http://127.0.0.1:3"),
            ),
        ]
    }
    assert ready_endpoint(mesh, "geo") == "http://127.0.0.1:2"
    assert ready_endpoint(mesh, "other") is None


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            agent(
                "geo",
                instance("geo-1", "waiting", reason="was killed"),
                instance("geo-2", "failed"),
            ),
            "agent `geo` is not ready; `geo-1` is waiting (was killed); `geo-2` is failed",
        ),
        (agent("geo", status="stopped"), "agent `geo` is not ready; it is stopped"),
        # What it offers is not known yet.
        (
            {**agent("geo", instance("geo-1", "starting")), "tools": []},
            "agent `geo` is not ready; `geo-1` is starting",
        ),
    ],
)
def test_a_call_of_an_agent_that_is_not_ready(
    tmp_path: Path, capsys: Output, told: dict[str, Any], message: str
) -> None:
    with answering(tmp_path, FakeDaemon(status(told))):
        assert execute(["call", "geo.echo", "--state-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unavailable("nothing answers", provider="geo.echo"), "nothing answers"),
        (ConnectionLost("it broke", provider="geo.echo"), "it broke"),
        (CallError("no MCP", provider="geo.echo"), "no MCP"),
        (ToolFailed("no", provider="geo.echo"), "`geo.echo` failed: no"),
        (Unavailable("none", provider="words"), "`geo.echo` failed: none"),
        (CallTimedOut("late", provider="words.word"), "`geo.echo` failed: late"),
    ],
)
def test_whose_failure_it_is(error: CallError, text: str) -> None:
    assert failure_text("geo.echo", error) == text
