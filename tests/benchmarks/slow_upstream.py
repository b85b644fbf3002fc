"""Ten upstreams of one capability, one of them a hundred times slower: who gets how many calls.

    python -m tests.benchmarks.slow_upstream [--seconds 10]

The upstream answers, so nothing is broken; the edge learns it from the time that answers take. The
consumer counts by the second in which a call begins. `tests/runtime` tries it in virtual time.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.e2e.mesh import running_mesh
from tests.e2e.project import call, instance, until

UPSTREAMS = 10
FAST_SECONDS, SLOW_SECONDS = 0.002, 0.2
AT_ONCE = (8, 32)
GOAL = 0.02
ROUNDS = 3
AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  python: {{path: src}}
  process: {process}
  tools: [{{callable: "answering:{tool}", capability: answer}}]
"""
CONSUMER = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: caller{at_once}}}
spec:
  python: {{path: src}}
  tools:
    - callable: calling:counted
      needs: {{answer: {{capability: answer, required: true}}}}
"""
ANSWERING = f"""\
import asyncio


async def slow() -> str:
    await asyncio.sleep({SLOW_SECONDS})
    return "slow"


async def fast() -> str:
    await asyncio.sleep({FAST_SECONDS})
    return "fast"
"""
CALLING = """\
import asyncio
import time


async def counted(lasting: int, at_once: int, answer) -> list[dict[str, int]]:
    counts = [{"slow": 0, "fast": 0} for _ in range(lasting)]
    begin = time.perf_counter()

    async def several() -> None:
        while (second := int(time.perf_counter() - begin)) < lasting:
            counts[second][await answer()] += 1

    await asyncio.gather(*(several() for _ in range(at_once)))
    return counts
"""


def write_project(folder: Path) -> Path:
    """Write the upstreams, and one consumer for each measurement, which has learnt nothing yet."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "meshd.toml").touch()
    texts = [AGENT.format(name="slow", process="slow", tool="slow")]
    texts += [
        AGENT.format(name=f"fast-{number}", process="fast", tool="fast")
        for number in range(1, UPSTREAMS)
    ]
    texts += [CONSUMER.format(at_once=f"-{at_once}-{n}") for at_once, n in measurements()]
    (project / "mesh.yaml").write_text("---\n".join(texts))
    (project / "src" / "answering.py").write_text(ANSWERING)
    (project / "src" / "calling.py").write_text(CALLING)
    return project


def measurements() -> list[tuple[int, int]]:
    """Return the number of calls at once, and the round, of each measurement."""
    return [(at_once, number) for number in range(ROUNDS) for at_once in AT_ONCE]


def shares(counts: list[dict[str, int]]) -> list[float]:
    """Return the share of the slow one: in each second, and in all after the first."""
    later = {name: sum(second[name] for second in counts[1:]) for name in ("slow", "fast")}
    return [second["slow"] / max(1, sum(second.values())) for second in [*counts, later]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a slow upstream gets")
    parser.add_argument("--seconds", type=int, default=3, help="of each of six measurements")
    seconds = max(2, parser.parse_args().seconds)
    found: dict[int, list[list[float]]] = {at_once: [] for at_once in AT_ONCE}
    calls: dict[int, list[int]] = {at_once: [] for at_once in AT_ONCE}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_mesh(write_project(folder), folder=folder) as mesh:
            until(
                lambda: all(
                    len(need["providers"]) == UPSTREAMS
                    for agent in mesh.view()["agents"]
                    for need in agent["needs"]
                )
            )
            for at_once, number in measurements():
                endpoint = instance(mesh, f"caller-{at_once}-{number}-1")["endpoint"]
                counts: list[dict[str, int]] = call(
                    endpoint, "counted", 60, lasting=seconds, at_once=at_once
                )
                found[at_once].append(shares(counts))
                calls[at_once].append(sum(sum(second.values()) for second in counts))
    fast, slow = FAST_SECONDS * 1000, SLOW_SECONDS * 1000
    print(f"{UPSTREAMS} upstreams, of which one takes {slow:g} ms, the others {fast:g} ms")
    for at_once, rounds in found.items():
        *by_second, later = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(
            f"{at_once:3} at once, {statistics.median(calls[at_once]) / seconds:7,.0f} calls/s:"
            f" the slow one's share by second"
            f" {', '.join(f'{share:.2%}' for share in by_second)};"
            f" after the first {later:.2%}, at worst {max(each[-1] for each in rounds):.2%}"
            f" (goal: under {GOAL:.0%})"
        )


if __name__ == "__main__":
    main()
