"""`meshd agent run`: one instance of one agent in the foreground, as a container runs it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshd.cli.output import report, say
from meshd.cli.patience import saying
from meshd.cli.run import configure_logging, status_of_end
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.options import RunOptions
from meshd.daemon.source import Source
from meshd.diagnostics.model import Diagnostic
from meshd.errors import InvalidInput
from meshd.settings import from_environment, prepare_fastmcp


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for besides the agent and its manifests."""

    registry: str
    allow: tuple[str, ...]
    grace: str
    insecure: bool
    verbose: bool


def run(name: str, paths: Sequence[Path], options: Options) -> int:
    """Serve the agent until it is stopped; return the exit status."""
    grace_seconds = seconds(options.grace, "--grace")
    settings = from_environment()
    source = Source(paths, options.allow, settings.environment, sys.stdin.buffer)
    given = RunOptions(
        grace_seconds=grace_seconds,
        registry=options.registry.rstrip("/"),
        registry_url=settings.registry_url,
        node=settings.node,
        insecure=options.insecure,
        verbose=options.verbose,
    )
    prepare_fastmcp()
    configure_logging(verbose=options.verbose)
    is_ready = False

    def on_ready(instances: Sequence[dict[str, Any]], warnings: tuple[Diagnostic, ...]) -> None:
        nonlocal is_ready
        is_ready = True
        report(warnings, source.texts, "text")
        for instance in instances:
            endpoint = f"{instance['endpoint']}/mcp"
            say(f"{instance['id'] + ':':10} {instance['status']}  {endpoint}")
        say(f"{'stop:':10} Ctrl-C")

    import uvloop

    from meshd.daemon.foreground import run_agent

    try:
        with saying(lambda: "" if is_ready else f"starting agent {name} …"):
            number = uvloop.run(run_agent(source, name, given, on_ready, SystemClock()))
    except InvalidInput as error:
        report(error.diagnostics, source.texts, "text")
        return 1
    say("stopped")
    return status_of_end(number)
