"""Load that costs less than what it measures: wrk on one core, the servers on another, in turn.

Run as a script it does nothing. Each side of a comparison is a `Side`; `measure` lets all of them
take turns, so that what disturbs one disturbs all. What the server's process used for an answer
varies less than the rate while other work runs.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from tests.benchmarks.measured import cpu_seconds
from tests.e2e.wire import call_request

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
"""The same one if there is only one; then ratios say less."""
_SCRIPT = """\
wrk.method = "POST"
wrk.headers = {{{headers}}}
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  io.write(string.format("FIGURES %d %d %d %f %f\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
"""
_FIGURES = re.compile(r"^FIGURES (\d+) (\d+) (\d+) (\S+) (\S+)$", re.MULTILINE)


class Figures(NamedTuple):
    """What one turn came to."""

    a_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    cpu_microseconds: float
    """Of the server's process, for one answer."""


@dataclass
class Side:
    """A server, what it is asked, and the figures so far, by the number of connections."""

    name: str
    url: str
    process: int
    tool: str
    arguments: Mapping[str, Any]
    figures: dict[int, list[Figures]] = field(default_factory=dict[int, list[Figures]])

    def ask(self) -> Any:
        """Ask once; return the structured content that comes."""
        headers, body = call_request("modern", self.tool, dict(self.arguments))
        headers["Content-Type"] = "application/json"
        request = Request(self.url, json.dumps(body).encode(), headers)  # noqa: S310  (our own)
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            said = json.loads(answer.read())
        assert said["result"]["isError"] is False, said
        return said["result"]["structuredContent"]

    def load(self, connections: int, seconds: int) -> None:
        """Ask as often as it goes, and note how often that was."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(self._script())
            script.flush()
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name]
            before = cpu_seconds([self.process])
            done = subprocess.run(
                [*_on(LOAD_CORE), *command, self.url], check=True, capture_output=True, text=True
            )
            spent = cpu_seconds([self.process]) - before
        found = _FIGURES.search(done.stdout)
        assert found is not None, done.stdout
        requests, microseconds, failed, p50, p99 = map(float, found.groups())
        assert failed == 0, done.stdout
        self.figures.setdefault(connections, []).append(
            Figures(requests / microseconds * 1e6, p50 / 1000, p99 / 1000, spent / requests * 1e6)
        )

    def median(self, connections: int) -> Figures:
        """Return the medians of all turns."""
        turns = self.figures[connections]
        return Figures(*(statistics.median(values) for values in zip(*turns, strict=True)))

    def _script(self) -> str:
        headers, body = call_request("modern", self.tool, dict(self.arguments))
        headers["Content-Type"] = "application/json"
        lines = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
        return _SCRIPT.format(headers=lines, body=json.dumps(body, separators=(",", ":")))


def install_wrk() -> None:
    """Install wrk, if it is not there."""
    if shutil.which("wrk") is None:
        subprocess.run(["apt-get", "install", "-qq", "-y", "wrk"], check=True)


def measure(sides: Sequence[Side], connections: Sequence[int], rounds: int, seconds: int) -> None:
    """Let all sides take turns, after one to warm up."""
    for side in sides:
        side.ask()
        side.load(connections[-1], 1)
    for side in sides:
        side.figures.clear()
    for _ in range(rounds):
        for number in connections:
            for side in sides:
                side.load(number, seconds)


def pin(process: int, core: int) -> None:
    """Move a process with all of its threads to a core; those to come follow."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def print_side(side: Side, connections: int) -> None:
    """Print the medians of one side."""
    each = side.median(connections)
    print(
        f"{side.name:44} {connections:4} {each.a_second:9,.0f}/s   p50 {each.p50_milliseconds:7.3f}"
        f" ms   p99 {each.p99_milliseconds:7.3f} ms   CPU {each.cpu_microseconds:7.1f} µs"
    )


def print_ratio(ours: Side, other: Side, connections: int, goal: str) -> None:
    """Print how many times as fast one side is: the median of the rounds of both, and by CPU."""
    pairs = zip(ours.figures[connections], other.figures[connections], strict=False)
    rate = statistics.median(mine.a_second / theirs.a_second for mine, theirs in pairs)
    by_cpu = other.median(connections).cpu_microseconds / ours.median(connections).cpu_microseconds
    print(
        f"{ours.name} / {other.name}, {connections}: {rate:.2f} x by rate,"
        f" {by_cpu:.2f} x by CPU time (goal: {goal})"
    )


def _on(core: int) -> list[str]:
    return ["taskset", "-c", str(core)]
