"""The running mesh as the admin API sees it: what it is, how it fares, and what it can be told."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from meshd.daemon.generations import Generations
from meshd.daemon.link import link_mesh
from meshd.daemon.messages import Post
from meshd.daemon.options import Audience
from meshd.daemon.registry_process import RegistryProcess
from meshd.daemon.replica import Replica
from meshd.daemon.source import Reading, Source
from meshd.daemon.supervisor import Supervisor
from meshd.daemon.view import (
    InstanceView,
    RegistryView,
    is_wired,
    mesh_view,
    standing,
    status_view,
    tool_view,
)
from meshd.daemon.watch import Watcher, fingerprint
from meshd.diagnostics.render import as_text, as_values
from meshd.domain.spec import JsonValue
from meshd.errors import MeshdError
from meshd.plan.model import Plan
from meshd.runtime.registry_client import RegistryClient


@dataclass(slots=True, kw_only=True)
class Daemon:
    """A mesh with its supervisor: what the admin API asks."""

    source: Source
    reading: Reading
    """What the source said last."""
    supervisor: Supervisor
    generations: Generations
    registry: "RegistryOfMesh"
    watcher: Watcher
    audience: Audience
    news: asyncio.Event
    """Is set whenever something about an instance changes."""
    phase: Literal["starting", "running", "stopping"] = "starting"

    @property
    def plan(self) -> Plan:
        """The plan of what runs; before the first generation, of what is to run."""
        current = self.generations.current
        if current is not None:
            return current.plan
        mesh = self.reading.manifests.mesh
        return link_mesh(mesh, {}, allow_unresolved=True)[0] if mesh else Plan()

    def view(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return mesh_view(self.plan, self._instances(), self.registry.view())

    def status(self) -> dict[str, Any]:
        """Return how the mesh fares, as `meshd status --format json` shows it."""
        current, last = self.generations.current, self.generations.last
        found = last.diagnostics if last else ()
        return {
            "phase": self.phase,
            "pid": os.getpid(),
            "generation": current.number if current else 0,
            **status_view(self.plan, self._instances(), self.registry.view()),
            "diagnostics": as_values(found),
            "report": as_text(found, last.sources if last else {}),
        }

    def tool(self, agent: str, tool: str) -> dict[str, JsonValue] | None:
        """Return the schemas and description of a tool, or None if there is none."""
        current = self.generations.current
        return tool_view(current.signatures, agent, tool) if current else None

    async def reload(self) -> dict[str, Any]:
        """Apply what the manifests say now, and return what came of it."""
        if self.generations.current is None:
            return {"result": "starting", "diagnostics": [], "report": "", "changes": {}}
        seen = await asyncio.to_thread(fingerprint, list(self.generations.files()))
        self.reading = await asyncio.to_thread(self.source.read)
        outcome = await self.generations.apply(self.reading)
        self.watch(seen)
        self.audience.applied(outcome)
        return {
            "result": outcome.result,
            "diagnostics": as_values(outcome.diagnostics),
            "report": as_text(outcome.diagnostics, outcome.sources),
            "changes": outcome.changes.as_values() if outcome.changes else {},
        }

    async def restart(self, agent: str) -> list[str] | None:
        """Replace an agent's processes; return the replicas' ids, None if there is no such agent.

        Raises:
            InvalidInput, DaemonError: it cannot be started again; the old one goes on.

        """
        if all(agent != each.key for each in self.plan.agents):
            return None
        return await self.generations.restart([agent])

    def is_wired(self) -> bool:
        """Say whether every need that the plan has a provider for is resolved."""
        return is_wired(self.plan, self.view())

    def watch(self, seen: Mapping[Path, str] | None = None) -> None:
        """Watch the files and folders whose change asks for a reload.

        A change counts from what was read, and for files that were `seen` before they were read
        again from that: what failed with it would fail with it once more.
        """
        known = {**self.generations.files(), **(seen or {}), **self.reading.watched}
        self.watcher.watch(known, known)

    def _instances(self) -> list[InstanceView]:
        return [
            _instance_view(replica, post)
            for listed in self.supervisor.replicas.values()
            for replica in listed
            for post in replica.instances()
        ]


class RegistryOfMesh:
    """The registry that the instances are told of: the mesh's own, or one that was named."""

    def __init__(self, url: str, own: RegistryProcess | None) -> None:
        self.url = url
        self.own = own

    def view(self) -> RegistryView:
        """Return where it is and how it fares."""
        if self.own is None:
            return RegistryView(self.url, "external")
        return RegistryView(self.url, self.own.status, self.own.problem)

    async def forget(self, posts: tuple[Post, ...]) -> None:
        """Tell it that instances have died; where it is away their leases end by themselves."""
        async with RegistryClient(self.url) as registry:
            for post in posts:
                with contextlib.suppress(MeshdError):
                    await registry.leave(post.instance, post.incarnation, "process_died")


def _instance_view(replica: Replica, post: Post) -> InstanceView:
    run = replica.current
    assert run is not None  # noqa: S101  (its posts come from it)
    registered = run.registered.get(post.instance)
    return InstanceView(
        id=post.instance,
        agent=post.agent.key,
        process=replica.id,
        pid=run.child.process,
        endpoint=post.endpoint,
        status=replica.status,
        reason=replica.reason,
        restarts=replica.restarts,
        stages=run.stages,
        registry=standing(registered),
        edges=run.edges.get(post.instance, ()),
        problems=replica.diagnostics,
    )
