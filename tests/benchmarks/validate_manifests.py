"""How long it takes to validate 1,000 tools in 100 files.

    python -m tests.benchmarks.validate_manifests

First in this process, best of five; then with the command line, start of Python included.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from meshd.manifest.files import ProjectInputs
from meshd.manifest.load import Manifests, read_manifests

FILES = 100
TOOLS_EACH = 10
AGENT = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {{name: agent-{file}, labels: {{team: travel}}}}
spec:
  version: 1.4.0
  description: Plans trips
  python: {{path: src}}
  tools:
"""
TOOL = """\
    - callable: trip.plan:plan_{tool}
      name: plan_trip_{tool}
      capability: trip.plan.c{file}
      version: 2.0.0
      tags: [fast, metric]
      hints: {{readOnly: true, idempotent: true}}
      parameters:
        units: {{schema: {{enum: [metric, imperial]}}, default: metric, description: Units}}
        since: {{type: datetime}}
      needs:
        weather:
          {{capability: weather.now, version: ">=1.2,<2", tags: ["+fast"], call: {{timeout: 3s}}}}
      call: {{timeout: 60s}}
"""


def write_manifests(folder: Path) -> None:
    """Write the files."""
    for file in range(FILES):
        tools = "".join(TOOL.format(tool=tool, file=file) for tool in range(TOOLS_EACH))
        path = folder / f"agent-{file}.yaml"
        path.write_text(AGENT.format(file=file) + tools, encoding="utf-8")


def read(folder: Path) -> Manifests:
    """Read them as `meshd validate` does."""
    return read_manifests([folder], inputs=ProjectInputs({}, str(folder)), project_root=str(folder))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write_manifests(folder)
        manifests = read(folder)
        times: list[float] = []
        for _ in range(5):
            start = time.perf_counter()
            read(folder)
            times.append(time.perf_counter() - start)
        mesh = manifests.mesh
        tools = 0 if mesh is None else sum(len(agent.tools) for agent in mesh.agents)
        print(f"{FILES} files, {tools} tools, {len(manifests.diagnostics)} diagnostics")
        print(f"in this process: {min(times):.3f} s")
        command = [sys.executable, "-m", "meshd", "validate", name]
        start = time.perf_counter()
        status = subprocess.run(command, check=False).returncode
        print(f"meshd validate: {time.perf_counter() - start:.3f} s (exit status {status})")


if __name__ == "__main__":
    main()
