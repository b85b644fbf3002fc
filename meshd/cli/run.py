"""`meshd run`: the whole path, from manifests to a mesh that answers."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshd.cli.output import report, say
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.errors import InvalidInput
from meshd.settings import Settings, from_environment, prepare_fastmcp

INTERRUPTED = 2
"""SIGINT, as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for besides the manifests."""

    state_dir: Path
    allow: tuple[str, ...]
    grace: str
    registry_port: int | None
    allow_unresolved: bool
    insecure: bool
    in_process: bool
    detach: bool
    verbose: bool


def run(paths: list[Path], options: Options) -> int:
    """Check the manifests and serve the mesh; return the exit status."""
    grace_seconds = seconds(options.grace, "--grace")
    settings = from_environment()
    source = Source(paths, options.allow, settings.environment, sys.stdin.buffer)
    if options.detach:
        from meshd.cli.detach import run_detached

        return run_detached(options.state_dir)
    prepare_fastmcp()
    configure_logging(verbose=options.verbose)
    try:
        with StateDirectory(options.state_dir).held() as state:
            serving = _serving(source, state, options, settings, grace_seconds)
            number = _run_loop(serving, in_process=options.in_process)
    except InvalidInput as error:
        report(error.diagnostics, source.texts, "text")
        return 1
    say("stopped")
    return status_of_end(number)


def _serving(
    source: Source,
    state: StateDirectory,
    options: Options,
    settings: Settings,
    grace_seconds: float,
) -> Coroutine[Any, Any, int | None]:
    from meshd.cli.audience import PlainAudience
    from meshd.daemon.options import RunOptions

    given = RunOptions(
        grace_seconds=grace_seconds,
        allow_unresolved=options.allow_unresolved,
        registry_port=options.registry_port,
        registry_url=settings.registry_url,
        node=settings.node,
        insecure=options.insecure,
        verbose=options.verbose,
        debounce_seconds=settings.debounce_seconds,
    )
    stages = Stages(SystemClock())
    audience = PlainAudience(source, stages, options.state_dir, verbose=options.verbose)
    if options.in_process:
        from meshd.daemon.in_process import run_in_process

        return run_in_process(source, state, given, audience, stages)
    from meshd.daemon.lifecycle import run_daemon

    return run_daemon(source, state, given, audience, stages)


def _run_loop(serving: Coroutine[Any, Any, int | None], *, in_process: bool) -> int | None:
    """Run on asyncio's own loop, or on uvloop where this process answers calls itself."""
    runner: Callable[[Coroutine[Any, Any, int | None]], int | None] = asyncio.run
    if in_process:
        import uvloop

        runner = uvloop.run
    return runner(serving)


def status_of_end(number: int | None) -> int:
    """Return the exit status of what served until a signal, or `meshd stop`, ended it."""
    return 128 + number if number == INTERRUPTED else 0


def configure_logging(*, verbose: bool) -> None:
    """Log to standard error: what goes wrong, and with `verbose` what goes on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
