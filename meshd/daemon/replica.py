"""One copy of a process of the mesh: what runs now, what it said of itself, and how it fares."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from meshd.daemon.messages import (
    EdgeView,
    Loaded,
    Post,
    Ready,
    Refused,
    Registered,
    Report,
    Wired,
    Withdrawn,
)
from meshd.daemon.ports import Port
from meshd.daemon.spawner import Child
from meshd.diagnostics.model import Diagnostic
from meshd.plan.processes import ProcessSpec

T = TypeVar("T")

Status = Literal["starting", "ready", "draining", "waiting", "failed", "stopped"]
"""Waiting: it died and is about to be started again. Failed: so often that this takes longer."""


@dataclass(slots=True, eq=False, kw_only=True)
class Run:
    """One start of a replica: a process with its job, from its fork to its end."""

    spec: ProcessSpec
    posts: tuple[Post, ...]
    ports: Mapping[str, Port]
    """By agent key: the sockets that are this replica's own."""
    fronts: Mapping[str, Port]
    """The sockets that it shares with other replicas."""
    child: Child
    loaded: "asyncio.Future[Loaded]"
    ready: "asyncio.Future[None]"
    started_at: float
    """When the process was forked, in seconds since the epoch."""
    files: Mapping[Path, str] = field(default_factory=dict[Path, str])
    """The user's files that it was loaded from, with digests of what they held then."""
    ready_at: float = 0.0
    edges: dict[str, tuple[EdgeView, ...]] = field(default_factory=dict[str, tuple[EdgeView, ...]])
    registered: dict[str, Registered] = field(default_factory=dict[str, Registered])
    is_last: bool = False
    """Whether nothing takes its place when it ends."""
    problem: str = ""
    stages: Mapping[str, float] = field(default_factory=dict[str, float])
    """The steps of its start with their times in seconds."""

    def take(self, report: Report) -> None:
        """Note what the process said."""
        match report:
            case Loaded():
                _resolve(self.loaded, report)
            case Ready():
                self.problem, self.stages = report.problem, report.stages
                _resolve(self.ready, None)
            case Refused():
                self.fail(RefusedStart(report.diagnostics, report.files))
            case Wired():
                self.edges[report.instance] = report.edges
            case Registered():
                self.registered[report.instance] = report
            case Withdrawn():
                if self.is_last:
                    # Else callers would wait in a queue that nobody serves any more.
                    for port in self.ports.values():
                        port.shut()

    def fail(self, error: Exception) -> None:
        """Let whoever waits for the process know that it will not come so far."""
        for future in (self.loaded, self.ready):
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may wait for it any more

    def all_ports(self) -> tuple[Port, ...]:
        """Return every port that the process serves."""
        return (*self.ports.values(), *self.fronts.values())

    def open_ports(self) -> None:
        """Allow the process to listen."""
        for port in self.all_ports():
            port.open()


class RefusedStart(Exception):
    """A process cannot do its job; it said why."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], files: tuple[str, ...]) -> None:
        super().__init__("; ".join(diagnostic.message for diagnostic in diagnostics))
        self.diagnostics = diagnostics
        self.files = files


class DiedAtStart(Exception):
    """A process ended before it was ready, without a word; the text says how."""


@dataclass(slots=True, eq=False)
class Replica:
    """A copy of a process, over all its starts."""

    spec: ProcessSpec
    number: int
    current: Run | None = None
    status: Status = "starting"
    reason: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    is_wanted: bool = True
    """False from the moment on that it is to end."""
    restarts: int = 0
    failures: int = 0
    """Ends in a row, each too soon after the start."""
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to start it at once, where it waits."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a run is replaced, so that a restart and a reload take turns."""

    @property
    def id(self) -> str:
        """The replica's name: that of its process, and its number."""
        return f"{replica_stem(self.spec.name)}-{self.number}"

    def instances(self) -> Iterable[Post]:
        """Return the posts of the current run."""
        return self.current.posts if self.current else ()


def replica_stem(process: str) -> str:
    """Return what the ids of a process's replicas have in common; no two processes share it."""
    return process.replace("/", "--").replace(":", ".")


def _resolve(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)
