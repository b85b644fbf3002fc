"""The commands and their exit statuses; each command's own module is imported when it runs.

0 done · 1 the user's input is wrong or a check failed · 3 timed out · 4 daemon not reachable ·
64 usage · 70 internal error · 128+n signal
"""

import argparse
import gc
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from meshd import __version__
from meshd.cli import commands
from meshd.cli.parser import (
    Arguments,
    Group,
    Parser,
    UsageError,
    add_allow,
    add_duration,
    add_flag,
    add_format,
    add_paths,
    add_state_dir,
    add_tool,
    add_verbose,
)
from meshd.errors import CallTimedOut, DaemonError, InvalidInput, MeshdError, NotReachable

DONE, WRONG, TIMED_OUT, NOT_REACHABLE, USAGE, INTERNAL = 0, 1, 3, 4, 64, 70
INTERRUPTED = 130


def parser() -> Parser:
    """Return the parser of the whole command line."""
    top = Parser(
        prog="meshd",
        description="A mesh of MCP agents that you can review in a pull request.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"meshd {__version__}")
    group = Group(top)
    _add_run(
        group.add(
            "run", commands.run, "Check the manifests and serve the mesh until it is stopped."
        )
    )
    _add_manifests(group)
    _add_mesh(group)
    agent = group.group("agent", "One agent without a daemon.")
    _add_agent(agent.add("run", commands.run_agent, "Serve one instance of an agent."))
    registry = group.group("registry", "The registry that instances find each other by.")
    text = "Serve the registry alone, in the foreground, until it is stopped."
    _add_registry(registry.add("serve", commands.serve_registry, text))
    return top


def _add_manifests(group: Group) -> None:
    """Add the commands that need no daemon."""
    text = "Check manifests without importing the code they name."
    validate = group.add("validate", commands.validate, text)
    add_paths(validate)
    add_format(validate)
    text = "List the variables and files that the manifests ask for."
    inputs = group.add("inputs", commands.inputs, text)
    add_paths(inputs)
    add_format(inputs)
    text = "Show each setting of a tool and the place that set it, and whom its needs call."
    explain = group.add("explain", commands.explain, text)
    add_tool(explain)
    add_paths(explain)
    add_state_dir(explain)
    add_format(explain)
    group.add("schema", commands.schema, "Print the JSON Schema of the manifest language.")


def _add_mesh(group: Group) -> None:
    """Add the commands that speak to a daemon."""
    text = "Show the agents, tools and edges of the running mesh."
    listing = group.add("list", commands.list_mesh, text)
    add_state_dir(listing)
    add_format(listing)
    text = "Show how each instance of the running mesh fares, and why."
    status = group.add("status", commands.status, text)
    add_state_dir(status)
    add_format(status)
    text = "Print what instances have printed, also when the mesh does not run any more."
    _add_logs(group.add("logs", commands.logs, text))
    _add_call(
        group.add("call", commands.call, "Call a tool of the running mesh, print its answer.")
    )
    text = "Wait until the mesh is ready: every agent serves, every required need is resolved."
    wait = group.add("wait", commands.wait, text)
    wait.add_argument(
        "--for",
        dest="what",
        choices=("ready",),
        default="ready",
        help="what to wait for (ready)",
    )
    add_duration(wait, "--timeout", "30s", "how long to wait")
    add_state_dir(wait)
    text = "Apply what the manifests say now, and say what came of it."
    reload = group.add("reload", commands.reload, text)
    add_state_dir(reload)
    add_format(reload)
    text = "Replace the processes of an agent by new ones, without an interruption."
    restart = group.add("restart", commands.restart, text)
    restart.add_argument("agent", metavar="AGENT", help="AGENT, or NAMESPACE/AGENT")
    add_state_dir(restart)
    text = "Stop the running mesh: take no new calls, finish the rest."
    stop = group.add("stop", commands.stop, text)
    add_state_dir(stop)
    add_duration(stop, "--timeout", "30s", "how long to wait for its end")


def _add_run(command: Parser) -> None:
    add_paths(command)
    add_state_dir(command)
    add_allow(command)
    add_duration(command, "--grace", "10s", "how long requests may finish when the mesh stops")
    text = "start although required needs have no provider; their tools answer an error"
    add_flag(command, "--allow-unresolved", text)
    command.add_argument(
        "--registry-port",
        type=int,
        default=None,
        metavar="PORT",
        help="port of the mesh's own registry; 0 is any free one (8000 if it is free)",
    )
    add_flag(command, "--in-process", "run everything in this one process, for a debugger")
    add_flag(command, "--detach", "return as soon as the mesh is ready")
    # What `--detach` starts: the output of instances is in files of their own already.
    command.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    text = "let agents listen beyond loopback, where everybody who can connect may call them"
    add_flag(command, "--insecure", text)
    add_verbose(command)


def _add_agent(command: Parser) -> None:
    command.add_argument("agent", metavar="NAME", help="AGENT, or NAMESPACE/AGENT")
    command.add_argument(
        "-f",
        "--file",
        dest="paths",
        nargs="+",
        action="extend",
        type=Path,
        required=True,
        metavar="PATH",
        help="manifest files or folders; `-` is standard input; may be given again",
    )
    command.add_argument(
        "--join",
        default="",
        metavar="URL",
        help="the registry to join (the manifests', or MCP_MESH_REGISTRY_URL)",
    )
    add_allow(command)
    add_duration(command, "--grace", "10s", "how long requests may finish when the agent stops")
    text = "let the agent listen beyond loopback, where everybody who can connect may call it"
    add_flag(command, "--insecure", text)
    add_verbose(command)


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
    add_state_dir(command)
    text = "listen beyond loopback, where everybody who can connect may register"
    add_flag(command, "--insecure", text)
    add_verbose(command)


def _add_logs(command: Parser) -> None:
    command.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="agents, instances, or `registry` (everything that has printed)",
    )
    command.add_argument(
        "-n", "--lines", type=int, default=50, metavar="COUNT", help="how many last lines (50)"
    )
    command.add_argument(
        "-f", "--follow", action="store_true", help="go on with new lines until Ctrl-C"
    )
    add_state_dir(command)
    add_format(command, "how to print; json is an object in each line (text)")


def _add_call(command: Parser) -> None:
    add_tool(command)
    command.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="arguments of the tool")
    command.add_argument("--json", default="", metavar="OBJECT", help="arguments as a JSON object")
    add_duration(command, "--timeout", "60s", "how long to wait")
    add_state_dir(command)
    add_format(command)


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
    given.words = tuple(words)
    # argparse takes positional words in one run only; these commands take theirs anywhere.
    anywhere = {commands.call: "arguments", commands.logs: "names"}
    if given.run in anywhere and not any(word.startswith("-") for word in rest):
        getattr(given, anywhere[given.run]).extend(rest)
    elif rest:
        option = next((word for word in rest if word.startswith("-")), rest[0])
        raise UsageError(f"`{option}` is not an option here", "see `meshd COMMAND --help`")
    return given


def status_of(error: MeshdError) -> int:
    """Return the exit status that tells scripts what went wrong."""
    if isinstance(error, NotReachable):
        return NOT_REACHABLE
    return TIMED_OUT if isinstance(error, CallTimedOut) else WRONG
