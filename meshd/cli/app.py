"""The commands and their exit statuses; each command's own module is imported when it runs.

0 done · 1 the user's input is wrong or a check failed · 3 timed out · 4 daemon not reachable ·
64 usage · 70 internal error · 128+n signal
"""

import os
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from meshd import __version__
from meshd.errors import (
    CallTimedOut,
    DaemonError,
    InvalidInput,
    MeshdError,
    NotReachable,
)

DONE, WRONG, TIMED_OUT, NOT_REACHABLE, USAGE, INTERNAL = 0, 1, 3, 4, 64, 70

app = typer.Typer(
    name="meshd",
    help="A mesh of MCP agents that you can review in a pull request.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Style(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"


Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...", help="Manifest files or folders; `-` is standard input.", allow_dash=True
    ),
]
Format = Annotated[Style, typer.Option("--format", help="How to print.")]
StateDir = Annotated[Path, typer.Option("--state-dir", help="Where the daemon keeps its state.")]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", help="What may be imported besides meshd.toml, such as `trip.*`."),
]
DEFAULT_STATE = Path(".meshd")


@app.callback(invoke_without_command=True)
def _meshd(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from meshd.cli.output import show

        show(f"meshd {__version__}")
        raise typer.Exit


@app.command()
def run(
    paths: Paths,
    state_dir: StateDir = DEFAULT_STATE,
    allow: Allow = None,
    grace: Annotated[
        str, typer.Option(help="How long requests may finish when the mesh stops.")
    ] = "10s",
    allow_unresolved: Annotated[
        bool,
        typer.Option(
            "--allow-unresolved",
            help="Start although required needs have no provider; their tools answer an error.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> int:
    """Check the manifests and serve the mesh until it is stopped."""
    from meshd.cli import run as command

    options = command.Options(
        state_dir=state_dir,
        allow=tuple(allow or ()),
        grace=grace,
        allow_unresolved=allow_unresolved,
        verbose=verbose,
    )
    return command.run(paths, options)


@app.command()
def validate(paths: Paths, style: Format = Style.TEXT) -> int:
    """Check the manifests without importing any of the code they name."""
    from meshd.cli import validate as command

    return command.validate(paths, style.value)


@app.command()
def inputs(paths: Paths, style: Format = Style.TEXT) -> int:
    """List the environment variables and files that the manifests ask for."""
    from meshd.cli import validate as command

    return command.inputs(paths, style.value)


@app.command()
def explain(
    tool: Annotated[str, typer.Argument(metavar="[NAMESPACE/]AGENT.TOOL")],
    paths: Paths,
    style: Format = Style.TEXT,
) -> int:
    """Show each effective setting of a tool and the place that set it."""
    from meshd.cli import explain as command

    return command.explain(tool, paths, style.value)


@app.command()
def schema() -> int:
    """Print the JSON Schema of the manifest language."""
    from meshd.cli.output import show
    from meshd.manifest.schema import schema_text

    show(schema_text().rstrip("\n"))
    return DONE


@app.command(name="list")
def list_mesh(state_dir: StateDir = DEFAULT_STATE, style: Format = Style.TEXT) -> int:
    """Show the agents, tools and edges of the running mesh."""
    from meshd.cli import mesh as command

    return command.show_mesh(state_dir, style.value)


@app.command()
def call(
    tool: Annotated[str, typer.Argument(metavar="[NAMESPACE/]AGENT.TOOL")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Arguments of the tool.")
    ] = None,
    json_arguments: Annotated[str, typer.Option("--json", help="Arguments as a JSON object.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for the answer.")] = "60s",
    state_dir: StateDir = DEFAULT_STATE,
    style: Format = Style.TEXT,
) -> int:
    """Call a tool of the running mesh and print its answer."""
    from meshd.cli import call as command

    request = command.Request(tool, tuple(arguments or ()), json_arguments, timeout)
    return command.call(request, state_dir, style.value)


@app.command()
def stop(
    state_dir: StateDir = DEFAULT_STATE,
    timeout: Annotated[str, typer.Option(help="How long to wait for its end.")] = "30s",
) -> int:
    """Stop the running mesh: take no new calls, finish the rest."""
    from meshd.cli import mesh as command

    return command.stop(state_dir, timeout)


def main() -> None:
    """Run the command line and exit with its status."""
    leave(execute(sys.argv[1:]))


def leave(status: int) -> None:
    """Exit, without waiting for callables that still run in threads: their time is over."""
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors are printed, not raised."""
    from meshd.cli.output import fail, report, say

    command = typer.main.get_command(app)
    try:
        status = command.main(arguments, prog_name="meshd", standalone_mode=False)
    except typer.TyperException as error:
        fail(error.format_message().rstrip("."), "see `meshd --help`, or `meshd COMMAND --help`")
        return USAGE
    except typer.Abort:
        return 130
    except InvalidInput as error:
        report(error.diagnostics, {}, "text")
        return WRONG
    except MeshdError as error:
        fail(str(error), error.hint if isinstance(error, DaemonError) else "")
        return status_of(error)
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  (what nobody foresaw is a defect of meshd)
        import traceback

        say(traceback.format_exc())
        fail("this is a defect in meshd", "report it with the lines above")
        return INTERNAL
    return status or DONE


def status_of(error: MeshdError) -> int:
    """Return the exit status that tells scripts what went wrong."""
    if isinstance(error, NotReachable):
        return NOT_REACHABLE
    if isinstance(error, CallTimedOut):
        return TIMED_OUT
    return WRONG
