"""The environment, read once: the only module that looks at environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

FASTMCP_DEFAULTS = {
    "FASTMCP_CHECK_FOR_UPDATES": "off",
    "FASTMCP_LOG_ENABLED": "false",
    "FASTMCP_SHOW_SERVER_BANNER": "false",
}
"""A server in a mesh neither asks the web for updates nor prints; who sets these is obeyed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    wants_colour: bool = True
    """False with `NO_COLOR` (https://no-color.org)."""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the process, or of the given environment."""
    environ = os.environ if environ is None else environ
    return Settings(wants_colour=not environ.get("NO_COLOR"))


def prepare_fastmcp() -> None:
    """Set FastMCP's defaults for servers in a mesh; it reads them when it is imported."""
    for name, value in FASTMCP_DEFAULTS.items():
        os.environ.setdefault(name, value)
