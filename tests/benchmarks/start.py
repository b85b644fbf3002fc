"""How long ten agents take to start, and what memory a further one costs.

    PYTHONPATH=. python tests/benchmarks/start.py

Each agent has a process of its own, and one tool of the standard library. The fork server is warm
when FastMCP has been imported; the mesh is ready when every agent serves and is registered.
Private memory is what no other process shares (USS), after every agent has answered a call.
"""

import statistics
import tempfile
import time
from pathlib import Path

from tests.benchmarks.measured import (
    measured_mesh,
    print_figures,
    private_kilobytes,
    write_agents,
)
from tests.e2e.mesh import Mesh
from tests.e2e.project import call

ROUNDS = 5
AGENTS = 10
TEXT = "From YAML to a mesh that answers"


def sample() -> dict[str, float]:
    """Start the mesh once; return seconds and kilobytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = write_agents(folder, AGENTS)
        with measured_mesh(project, folder) as (mesh, figures):
            begin = time.perf_counter()
            for endpoint in endpoints(mesh):
                assert call(endpoint, "shorten", text=TEXT, width=15) == "From YAML [...]"
            figures["all have answered, after that"] = time.perf_counter() - begin
            private = [private_kilobytes(pid) for pid in instances(mesh)]
            figures["private memory of an instance, KB"] = statistics.median(private)
            figures["private memory of the largest, KB"] = max(private)
    return figures


def endpoints(mesh: Mesh) -> list[str]:
    """Return the base URL of each instance."""
    return [one["endpoint"] for agent in mesh.view()["agents"] for one in agent["instances"]]


def instances(mesh: Mesh) -> list[int]:
    """Return the process of each instance."""
    return [one["pid"] for agent in mesh.view()["agents"] for one in agent["instances"]]


if __name__ == "__main__":
    print_figures(f"{AGENTS} agents", [sample() for _ in range(ROUNDS)])
