"""`meshd logs`: what instances have printed, from the files that the daemon writes."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from meshd.cli.output import is_colourful, painted, say, show
from meshd.cli.target import BadRequest, meant
from meshd.daemon.client import AdminClient
from meshd.daemon.log_lines import LogLine, instance_of
from meshd.daemon.log_reading import follow, tail
from meshd.daemon.state import StateDirectory
from meshd.domain.names import agent_key, instance_stem
from meshd.errors import DaemonError, MeshdError

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed; no names mean everything that has printed."""

    names: tuple[str, ...]
    lines: int
    follow: bool


def show_logs(request: Request, state_directory: Path, style: str) -> int:
    """Print the last lines, and with `follow` those that come, until Ctrl-C."""
    if request.lines < 0:
        raise BadRequest(f"`--lines`: {request.lines} lines cannot be printed")
    state = StateDirectory(state_directory)
    folder = state.logs
    present = instances_in(folder)
    if not (present or request.follow or state.socket.exists()):
        raise DaemonError(
            f"nothing has printed to the state directory `{state_directory}`",
            "start a mesh with `meshd run`, or name its `--state-dir`",
        )
    wanted = wanted_by(request.names, present, lambda: processes_of(state_directory))
    write = as_json if style == "json" else as_text(colour=is_colourful(sys.stdout))
    if request.follow:
        asyncio.run(_follow(folder, wanted, request.lines, write))
    else:
        lines = tail(folder, wanted, request.lines)
        for line in lines:
            show(write(line))
        if not lines and request.lines:
            say("nothing was printed yet")
    return 0


async def _follow(
    folder: Path, wanted: Wanted, lines: int, write: Callable[[LogLine], str]
) -> None:
    async with contextlib.aclosing(follow(folder, wanted, lines=lines)) as found:
        async for line in found:
            show(write(line))


def instances_in(folder: Path) -> list[str]:
    """Return the names that have a log, sorted."""
    if not folder.is_dir():
        return []
    found = (instance_of(file.name) for file in folder.iterdir())
    return sorted(name for name in found if name is not None)


def processes_of(state_directory: Path) -> dict[str, set[str]]:
    """Return which logs agents and instances have, as far as a daemon can be asked."""
    found: dict[str, set[str]] = {}
    with contextlib.suppress(MeshdError):
        for agent in AdminClient(state_directory).status()["agents"]:
            key = agent_key(agent["name"], agent["namespace"])
            found[key] = set()
            for one in agent["instances"]:
                logs = {one["process"] or one["id"]}
                found[one["id"]] = logs
                found[key] |= logs
    return found


def wanted_by(
    names: Iterable[str], present: Iterable[str], ask: Callable[[], dict[str, set[str]]]
) -> Wanted:
    """Return what says whether a log is among those that are named.

    `ask` returns the logs that agents and instances of the running mesh have: an agent that shares
    its process with others has no log of its own.

    Raises:
        BadRequest: a name is that of no log, of no agent and of no instance.

    """
    listed = list(names)
    if not listed:
        return lambda _: True
    stems = {name: _stem(name) for name in listed}
    without = [name for name in listed if not any(_is_of(stems[name], log) for log in present)]
    shared = ask() if without else {}
    for name in without:
        key = name.removeprefix("default/")
        if key not in shared:
            known = {*shared, *present, *(log.rpartition("-")[0] for log in present)} - {""}
            raise BadRequest(f"nothing called `{name}` has printed{meant(name, known)}")
    chosen = {log for name in without for log in shared[name.removeprefix("default/")]}
    return lambda log: log in chosen or any(_is_of(stem, log) for stem in stems.values())


def _stem(name: str) -> str:
    """Return what the logs of an agent begin with, or the name of a log as it is."""
    namespace, slash, agent = name.removeprefix("default/").rpartition("/")
    return instance_stem(agent, namespace) if slash else agent


def _is_of(stem: str, log: str) -> bool:
    """Say whether a log is the one named, or that of a replica: `stem-n`."""
    return log == stem or (log.startswith(f"{stem}-") and log[len(stem) + 1 :].isdigit())


def as_text(*, colour: bool) -> Callable[[LogLine], str]:
    """Return what writes lines for people, with the time as it is here."""

    def text(line: LogLine) -> str:
        at = line.at.astimezone().isoformat(timespec="milliseconds")
        name = painted(line.instance) if colour else line.instance
        return f"{at} {name} | {line.text}"

    return text


def as_json(line: LogLine) -> str:
    """Return a line for programs."""
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = {"instance": line.instance, "at": at, "text": line.text}
    return json.dumps(values, ensure_ascii=False)
