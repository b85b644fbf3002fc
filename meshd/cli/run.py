"""`meshd run`: the whole path, from manifests to a mesh that answers."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from meshd.callables.project import read_project
from meshd.cli.manifests import read
from meshd.cli.output import report, say
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.prepare import Prepared, link_mesh, load, require
from meshd.daemon.stages import Stages
from meshd.daemon.state import StateDirectory
from meshd.errors import InvalidInput
from meshd.settings import prepare_fastmcp

INTERRUPTED = 2
"""SIGINT, as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for besides the manifests."""

    state_dir: Path
    allow: tuple[str, ...]
    grace: str
    allow_unresolved: bool
    verbose: bool


def run(paths: list[Path], options: Options) -> int:
    """Check the manifests and serve the mesh; return the exit status."""
    grace_seconds = seconds(options.grace, "--grace")
    stages = Stages(SystemClock())
    sources: dict[str, str] = {}
    try:
        with StateDirectory(options.state_dir).held() as state:
            prepared = prepare(paths, options, stages, sources)
            return serve(prepared, state, stages, grace_seconds, options)
    except InvalidInput as error:
        report(error.diagnostics, sources, "text")
        return 1


def prepare(
    paths: list[Path], options: Options, stages: Stages, sources: dict[str, str]
) -> Prepared:
    """Read, load and link; report warnings; raise `InvalidInput` at the first stage with errors."""
    with stages.stage("collect"):
        project, found = read_project(paths, options.allow)
        manifests = read(paths, project.root, now=True)
        sources.update(manifests.sources)
        warnings = require((*found, *manifests.diagnostics))
        mesh = manifests.mesh
    if mesh is None:
        raise InvalidInput(manifests.diagnostics)
    with stages.stage("configure"):
        agents, found = load(mesh, project)
        warnings += require(found)
        plan, found = link_mesh(mesh, agents, allow_unresolved=options.allow_unresolved)
        warnings += require(found)
    report(warnings, sources, "text")
    return Prepared(mesh=mesh, plan=plan, agents=agents)


def serve(
    prepared: Prepared,
    state: StateDirectory,
    stages: Stages,
    grace_seconds: float,
    options: Options,
) -> int:
    """Serve a prepared mesh until it is stopped."""
    prepare_fastmcp()
    configure_logging(verbose=options.verbose)
    with stages.stage("import FastMCP"):
        import uvloop

        from meshd.daemon.lifecycle import RunningMesh, run_mesh

    def announce(mesh: RunningMesh) -> None:
        from meshd.cli.mesh import announce_mesh

        announce_mesh(mesh, stages.finished, options.state_dir)

    serving = run_mesh(prepared, state, stages, grace_seconds=grace_seconds, on_ready=announce)
    number = uvloop.run(serving)
    say("stopped")
    return status_of_end(number)


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
