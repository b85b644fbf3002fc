"""MCP Mesh's own registry, a program in Go, as the tests start it.

It comes with the npm packages of tests/node. There it is optional, since it exists for Linux on
x86-64 only, and elsewhere npm must be able to go on without it.
"""

import platform
from pathlib import Path

from tests.tools.node import PACKAGES

IS_MADE_FOR_THIS_MACHINE = (platform.system(), platform.machine()) == ("Linux", "x86_64")
PROGRAM = PACKAGES / "node_modules" / "@mcpmesh" / "cli-linux-x64" / "bin" / "mcp-mesh-registry"


def installed() -> Path:
    """Return the program; say how to get it if it is not there."""
    if not PROGRAM.is_file():
        raise FileNotFoundError(f"{PROGRAM} is not there: run `python -m tests.tools.node`")
    return PROGRAM
