"""What benchmarks of running meshes share: manifests, a started mesh, its memory and its CPU time.

Run as a script it does nothing.
"""

import contextlib
import os
import re
import statistics
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from tests.e2e.mesh import Mesh, running_mesh

AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: agent-{number}}}
spec:
{process}  tools:
    - callable: textwrap:shorten
      capability: shorten.n{number}
"""


def write_agents(folder: Path, agents: int, in_a_process: int = 1) -> Path:
    """Write a project of agents with one tool of the standard library each; return its folder."""
    project = folder / "project"
    project.mkdir()
    (project / "meshd.toml").write_text('[imports]\nallow = ["textwrap:shorten"]\n')

    def process(number: int) -> str:
        return f"  process: shared-{number // in_a_process}\n" if in_a_process > 1 else ""

    texts = (AGENT.format(number=number, process=process(number)) for number in range(agents))
    (project / "mesh.yaml").write_text("---\n".join(texts))
    return project


@contextlib.contextmanager
def measured_mesh(project: Path, folder: Path) -> Generator[tuple[Mesh, dict[str, float]]]:
    """Run a mesh while the block runs; its figures are the seconds of its start."""
    begin = time.perf_counter()
    with running_mesh(project, folder=folder) as mesh:
        seen = time.perf_counter() - begin
        stages = stage_seconds(mesh.output)
        warm = stages["collect"] + stages["import FastMCP"]
        ready = sum(stages.values()) - warm
        yield (
            mesh,
            {
                "cold start, as seen by a command": seen,
                "warm-up (manifests, FastMCP)": warm,
                "ready, from then on": ready,
                **{f"  of which {name}": stages[name] for name in ("configure", "serve", "wire")},
            },
        )


def stage_seconds(output: str) -> dict[str, float]:
    """Return the stages that a daemon has printed."""
    [line] = re.findall(r"^started: +(.+)$", output, re.MULTILINE)
    stages = re.findall(r"(\S[^0-9]*?) ([\d,]+) ms", line)
    return {name: int(milliseconds.replace(",", "")) / 1000 for name, milliseconds in stages}


def private_kilobytes(pid: int) -> int:
    """Return the memory of a process that no other one shares."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kilobytes) for kilobytes in re.findall(r"^Private_\w+: +(\d+)", text, re.M))


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the time that processes have run so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def print_figures(title: str, samples: Sequence[dict[str, float]]) -> None:
    """Print the median and the worst of each figure; seconds unless its name says otherwise."""
    print(f"{title}, {len(samples)} rounds")
    print(f"{'':40} {'median':>10} {'worst':>10}")
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        print(f"{name:40} {statistics.median(values):10.3f} {max(values):10.3f}")
