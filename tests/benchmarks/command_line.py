"""How long `meshd --help` and `meshd validate` take, against importing pydantic and PyYAML.

    python tests/benchmarks/command_line.py

The commands take turns, so that a busy machine slows all of them alike; the median is printed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
MANIFEST = """\
apiVersion: meshd.dev/v1
kind: Agent
metadata: {name: greeter}
spec:
  tools:
    - callable: greeter.words:greet
      capability: greeting
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "greeter.yaml"
        manifest.write_text(MANIFEST, encoding="utf-8")
        meshd = str(Path(sys.executable).with_name("meshd"))
        commands = {
            "python -c 'import pydantic, yaml'": [sys.executable, "-c", "import pydantic, yaml"],
            "meshd --help": [meshd, "--help"],
            "meshd validate (one small file)": [meshd, "validate", str(manifest)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    reference = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:40} {median * 1000:7.0f} ms   {median / reference:5.2f} x")


if __name__ == "__main__":
    main()
