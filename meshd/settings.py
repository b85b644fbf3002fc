"""The environment as a frozen value: the only module that looks at environment variables.

Manifests may name any variable with `${env:NAME}`, so the whole environment is handed on, as it
was when the command began.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FASTMCP_DEFAULTS = {
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_SHOW_SERVER_BANNER": "false",
}
"""A server in a mesh neither asks the web for updates nor prints; who sets these is obeyed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    environment: Mapping[str, str]
    """All variables, for the interpolation of manifests."""

    @property
    def wants_colour(self) -> bool:
        """False with `NO_COLOR` (https://no-color.org)."""
        return not self.environment.get("NO_COLOR")


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process, or of the environment given."""
    variables = os.environ if environ is None else environ
    return Settings(environment=MappingProxyType(dict(variables)))


def without_pydantic_plugins() -> None:
    """Keep pydantic from searching all installed packages for plugins.

    Only for commands that import no user code: what runs may have plugins.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def prepare_fastmcp() -> None:
    """Set FastMCP's defaults for servers in a mesh; it reads them when it is imported."""
    for name, value in FASTMCP_DEFAULTS.items():
        os.environ.setdefault(name, value)
