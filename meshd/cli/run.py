"""`meshd run`: the whole path, from manifests to a mesh that answers."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshd.cli.output import report, say
from meshd.cli.patience import saying
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.options import RunOptions
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.errors import InvalidInput
from meshd.settings import Settings, from_environment, prepare_fastmcp

if TYPE_CHECKING:
    from meshd.cli.audience import PlainAudience

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
    detached: bool
    verbose: bool


def run(paths: list[Path], options: Options) -> int:
    """Check the manifests and serve the mesh; return the exit status."""
    settings = from_environment()
    given = _run_options(options, settings)
    source = Source(paths, options.allow, settings.environment, sys.stdin.buffer)
    prepare_fastmcp()
    configure_logging(verbose=options.verbose)
    stages = Stages(SystemClock())
    try:
        with StateDirectory(options.state_dir).held() as state:
            audience = _audience(source, stages, options)
            try:
                with saying(lambda: audience.before_begin):
                    number = _serve(source, state, given, audience, stages, options)
            finally:
                audience.close()
    except InvalidInput as error:
        report(error.diagnostics, source.texts, "text")
        return 1
    say("stopped")
    return status_of_end(number)


def _run_options(options: Options, settings: Settings) -> RunOptions:
    return RunOptions(
        grace_seconds=seconds(options.grace, "--grace"),
        allow_unresolved=options.allow_unresolved,
        registry_port=options.registry_port,
        registry_url=settings.registry_url,
        node=settings.node,
        insecure=options.insecure,
        verbose=options.verbose,
        debounce_seconds=settings.debounce_seconds,
    )


def _audience(source: Source, stages: Stages, options: Options) -> "PlainAudience":
    """Return what draws on a terminal, or prints lines: also for a debugger, which needs it."""
    from meshd.cli.audience import PlainAudience
    from meshd.cli.live import LiveAudience, Terminal, wants_live_view

    terminal = Terminal(stderr=True, highlight=False)
    if wants_live_view(terminal, plain=options.verbose or options.in_process):
        return LiveAudience(source, stages, options.state_dir, terminal)
    return PlainAudience(source, stages, options.state_dir, detached=options.detached)


def _serve(
    source: Source,
    state: StateDirectory,
    given: RunOptions,
    audience: "PlainAudience",
    stages: Stages,
    options: Options,
) -> int | None:
    """Run on asyncio's own loop, or on uvloop where this process answers calls itself."""
    runner: Callable[[Coroutine[Any, Any, int | None]], int | None]
    if options.in_process:
        import uvloop

        from meshd.daemon.in_process import run_in_process

        runner, serving = uvloop.run, run_in_process
    else:
        from meshd.daemon.lifecycle import run_daemon

        runner, serving = asyncio.run, run_daemon
    return runner(serving(source, state, given, audience, stages))


def status_of_end(number: int | None) -> int:
    """Return the exit status of what served until a signal, or `meshd stop`, ended it."""
    return 128 + number if number == INTERRUPTED else 0


class _StandardError(logging.Handler):
    """Prints where standard error is now: what draws on a terminal takes its place meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            say(self.format(record))


def configure_logging(*, verbose: bool) -> None:
    """Log to standard error: what goes wrong, and with `verbose` what goes on."""
    logging.basicConfig(
        handlers=[_StandardError()],
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )
