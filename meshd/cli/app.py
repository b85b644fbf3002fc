"""The commands and their exit statuses; each command's own module is imported when it runs.

0 done · 1 the user's input is wrong or a check failed · 3 timed out · 4 daemon not reachable ·
64 usage · 70 internal error · 128+n signal
"""

import argparse
import gc
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from meshd import __version__
from meshd.diagnostics.suggest import closest
from meshd.errors import CallTimedOut, DaemonError, InvalidInput, MeshdError, NotReachable
from meshd.settings import without_pydantic_plugins

DONE, WRONG, TIMED_OUT, NOT_REACHABLE, USAGE, INTERNAL = 0, 1, 3, 4, 64, 70
INTERRUPTED = 130

Arguments = argparse.Namespace
Command = Callable[[Arguments], int]


class UsageError(Exception):
    """The command line cannot be understood."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting, and knows what was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise the usage error, with the name that comes nearest to a wrong one."""
        choice = re.fullmatch(
            r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message
        )
        if choice is None:
            raise UsageError(message, f"see `{self.prog} --help`")
        argument, word, known = choice.groups()
        near = closest(word, re.findall(r"[\w-]+", known))
        what = "a command" if argument == "COMMAND" else f"a value of `{argument}`"
        hint = f"did you mean `{near}`?" if near else f"known: {known.replace(chr(39), '')}"
        raise UsageError(f"`{word}` is not {what}", hint)


def parser() -> Parser:
    """Return the parser of the whole command line."""
    top = Parser(
        prog="meshd",
        description="A mesh of MCP agents that you can review in a pull request.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"meshd {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str) -> Parser:
        made: Parser = commands.add_parser(
            name, help=text[0].lower() + text[1:].rstrip("."), description=text, allow_abbrev=False
        )
        made.set_defaults(run=run)
        return made

    _add_run(add("run", _run, "Check the manifests and serve the mesh until it is stopped."))
    validate = add("validate", _validate, "Check manifests without importing the code they name.")
    _add_paths(validate)
    _add_format(validate)
    inputs = add("inputs", _inputs, "List the variables and files that the manifests ask for.")
    _add_paths(inputs)
    _add_format(inputs)
    explain = add("explain", _explain, "Show each setting of a tool and the place that set it.")
    _add_tool(explain)
    _add_paths(explain)
    _add_format(explain)
    add("schema", _schema, "Print the JSON Schema of the manifest language.")
    listing = add("list", _list, "Show the agents, tools and edges of the running mesh.")
    _add_state_dir(listing)
    _add_format(listing)
    _add_call(add("call", _call, "Call a tool of the running mesh and print its answer."))
    stop = add("stop", _stop, "Stop the running mesh: take no new calls, finish the rest.")
    _add_state_dir(stop)
    stop.add_argument(
        "--timeout", default="30s", metavar="DURATION", help="how long to wait for its end (30s)"
    )
    registry = commands.add_parser(
        "registry",
        help="the registry that instances find each other by",
        description="The registry that instances find each other by.",
        allow_abbrev=False,
    )
    parts = registry.add_subparsers(title="commands", metavar="COMMAND", required=True)
    text = "Serve the registry alone, in the foreground, until it is stopped."
    serve: Parser = parts.add_parser(
        "serve", help=text[0].lower() + text[1:].rstrip("."), description=text, allow_abbrev=False
    )
    serve.set_defaults(run=_serve_registry)
    _add_registry(serve)
    return top


def _add_registry(command: Parser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    command.add_argument(
        "--port", type=int, default=8000, help="which port; 0 is any free one (8000)"
    )
    command.add_argument(
        "--store",
        default="",
        metavar="STORE",
        help="`sqlite:///PATH`, or `memory` (registry.sqlite in the state directory)",
    )
    _add_state_dir(command)
    command.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond loopback, where everybody who can connect may register",
    )
    command.add_argument("-v", "--verbose", action="store_true", help="log more")


def _add_run(command: Parser) -> None:
    _add_paths(command)
    _add_state_dir(command)
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="what may be imported besides meshd.toml, such as `trip.*`; may be given again",
    )
    command.add_argument(
        "--grace",
        default="10s",
        metavar="DURATION",
        help="how long requests may finish when the mesh stops (10s)",
    )
    command.add_argument(
        "--allow-unresolved",
        action="store_true",
        help="start although required needs have no provider; their tools answer an error",
    )
    command.add_argument(
        "--registry-port",
        type=int,
        default=None,
        metavar="PORT",
        help="port of the mesh's own registry; 0 is any free one (8000 if it is free)",
    )
    command.add_argument(
        "--in-process",
        action="store_true",
        help="run everything in this one process, for a debugger",
    )
    command.add_argument(
        "--detach", action="store_true", help="return as soon as the mesh is ready"
    )
    command.add_argument(
        "--insecure",
        action="store_true",
        help="let agents listen beyond loopback, where everybody who can connect may call them",
    )
    command.add_argument("-v", "--verbose", action="store_true", help="log more")


def _add_call(command: Parser) -> None:
    _add_tool(command)
    command.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="arguments of the tool")
    command.add_argument("--json", default="", metavar="OBJECT", help="arguments as a JSON object")
    command.add_argument(
        "--timeout", default="60s", metavar="DURATION", help="how long to wait (60s)"
    )
    _add_state_dir(command)
    _add_format(command)


def _add_paths(command: Parser) -> None:
    command.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="manifest files or folders; `-` is standard input",
    )


def _add_tool(command: Parser) -> None:
    command.add_argument("tool", metavar="TOOL", help="AGENT.TOOL, or NAMESPACE/AGENT.TOOL")


def _add_format(command: Parser) -> None:
    command.add_argument(
        "--format", choices=("text", "json"), default="text", help="how to print (text)"
    )


def _add_state_dir(command: Parser) -> None:
    command.add_argument(
        "--state-dir",
        type=Path,
        default=Path(".meshd"),
        metavar="FOLDER",
        help="where the daemon keeps its state (.meshd)",
    )


def _run(given: Arguments) -> int:
    from meshd.cli import run

    options = run.Options(
        state_dir=given.state_dir,
        allow=tuple(given.allow),
        grace=given.grace,
        registry_port=given.registry_port,
        allow_unresolved=given.allow_unresolved,
        insecure=given.insecure,
        in_process=given.in_process,
        detach=given.detach,
        verbose=given.verbose,
    )
    return run.run(given.paths, options)


def _validate(given: Arguments) -> int:
    without_pydantic_plugins()
    from meshd.cli import validate

    return validate.validate(given.paths, given.format)


def _inputs(given: Arguments) -> int:
    from meshd.cli import validate

    return validate.inputs(given.paths, given.format)


def _explain(given: Arguments) -> int:
    from meshd.cli import explain

    return explain.explain(given.tool, given.paths, given.format)


def _schema(_: Arguments) -> int:
    from meshd.cli.output import show
    from meshd.manifest.schema import schema_text

    show(schema_text().rstrip("\n"))
    return DONE


def _list(given: Arguments) -> int:
    from meshd.cli import mesh

    return mesh.show_mesh(given.state_dir, given.format)


def _call(given: Arguments) -> int:
    from meshd.cli import call

    request = call.Request(given.tool, tuple(given.arguments), given.json, given.timeout)
    return call.call(request, given.state_dir, given.format)


def _stop(given: Arguments) -> int:
    from meshd.cli import mesh

    return mesh.stop(given.state_dir, given.timeout)


def _serve_registry(given: Arguments) -> int:
    from meshd.cli import registry
    from meshd.daemon.registry import RegistryOptions

    options = RegistryOptions(
        host=given.host,
        port=given.port,
        store=given.store,
        state_dir=given.state_dir,
        insecure=given.insecure,
    )
    return registry.serve(options, verbose=given.verbose)


def main() -> None:
    """Run the command line and exit with its status."""
    # Importing makes much that lives as long as the process, and nothing to collect.
    gc.disable()
    leave(execute(sys.argv[1:]))


def leave(status: int) -> None:
    """Exit, without waiting for callables that still run in threads: their time is over."""
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; errors are printed, not raised."""
    from meshd.cli.output import abandon_output, fail, report, say

    try:
        given = understood(arguments)
        return given.run(given)
    except UsageError as error:
        fail(str(error), error.hint)
        return USAGE
    except SystemExit as error:  # argparse has printed its help or the version
        return int(error.code or DONE)
    except InvalidInput as error:
        report(error.diagnostics, {}, "text")
        return WRONG
    except MeshdError as error:
        fail(str(error), error.hint if isinstance(error, DaemonError) else "")
        return status_of(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has gone
        abandon_output()
        return WRONG
    except Exception:  # noqa: BLE001  (what nobody foresaw is a defect of meshd)
        import traceback

        say(traceback.format_exc())
        fail("this is a defect in meshd", "report it with the lines above")
        return INTERNAL


def understood(words: Sequence[str]) -> Arguments:
    """Return what the command line says, or raise `UsageError`."""
    given, rest = parser().parse_known_args(words)
    # argparse takes positional words in one run only; tools take theirs anywhere.
    if given.run is _call and not any(word.startswith("-") for word in rest):
        given.arguments += rest
    elif rest:
        option = next((word for word in rest if word.startswith("-")), rest[0])
        raise UsageError(f"`{option}` is not an option here", "see `meshd COMMAND --help`")
    return given


def status_of(error: MeshdError) -> int:
    """Return the exit status that tells scripts what went wrong."""
    if isinstance(error, NotReachable):
        return NOT_REACHABLE
    return TIMED_OUT if isinstance(error, CallTimedOut) else WRONG
