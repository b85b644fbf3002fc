"""MCP Mesh itself, in an environment of its own, as the tests talk to it.

Its packages and ours do not go together, so it is installed into `.venv-mcp-mesh`, once.
"""

import subprocess
import sys
from pathlib import Path

VERSION = "3.8.0"
FOLDER = Path(__file__).parents[2] / ".venv-mcp-mesh"
PYTHON = FOLDER / "bin" / "python"


def installed() -> Path:
    """Return the Python that has MCP Mesh; install it first if it is not there."""
    mark = FOLDER / f".mcp-mesh-{VERSION}"
    if not mark.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        pip = [str(PYTHON), "-m", "pip", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", f"mcp-mesh=={VERSION}"], check=True)
        mark.touch()
    return PYTHON


def main() -> int:
    """Install MCP Mesh."""
    print(installed())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
