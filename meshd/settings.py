"""The environment as a frozen value: the only module that looks at environment variables.

Manifests may name any variable with `${env:NAME}`, so the whole environment is handed on, as it
was when the command began.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meshd.errors import DaemonError

FASTMCP_DEFAULTS = {
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_SHOW_SERVER_BANNER": "false",
}
"""A server in a mesh neither asks the web for updates nor prints; who sets these is obeyed."""


DEBOUNCE_SECONDS = 1.0
LONGEST_DEBOUNCE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    environment: Mapping[str, str]
    """All variables, for the interpolation of manifests."""

    @property
    def registry_url(self) -> str:
        """The registry to join, from `MCP_MESH_REGISTRY_URL`; empty if the variable is not set."""
        return self.environment.get("MCP_MESH_REGISTRY_URL", "").rstrip("/")

    @property
    def node(self) -> str:
        """The name of this place among daemons that share a registry, from `MESHD_NODE`."""
        return self.environment.get("MESHD_NODE", "")

    @property
    def debounce_seconds(self) -> float:
        """How long changes of files are gathered, from `MCP_MESH_DEBOUNCE_DELAY`; one second.

        Raises:
            DaemonError: the variable holds no number of seconds.

        """
        text = self.environment.get("MCP_MESH_DEBOUNCE_DELAY", "")
        try:
            seconds = float(text) if text else DEBOUNCE_SECONDS
        except ValueError:
            seconds = -1.0
        if 0 <= seconds <= LONGEST_DEBOUNCE_SECONDS:
            return seconds
        raise DaemonError(
            f"`MCP_MESH_DEBOUNCE_DELAY` is `{text}`, which is no number of seconds",
            f"set it to a number from 0 to {LONGEST_DEBOUNCE_SECONDS:g}, or unset it",
        )

    @property
    def wants_colour(self) -> bool:
        """False with `NO_COLOR` (https://no-color.org)."""
        return not self.environment.get("NO_COLOR")


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process, or of the environment given."""
    variables = os.environ if environ is None else environ
    return Settings(environment=MappingProxyType(dict(variables)))


def enter_environment(environment: Mapping[str, str]) -> None:
    """Let this process have exactly these variables."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()  # the C library has read TZ before


def without_pydantic_plugins() -> None:
    """Keep pydantic from searching all installed packages for plugins.

    Only for commands that import no user code: what runs may have plugins.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def prepare_fastmcp() -> None:
    """Set FastMCP's defaults for servers in a mesh; it reads them when it is imported."""
    for name, value in FASTMCP_DEFAULTS.items():
        os.environ.setdefault(name, value)
