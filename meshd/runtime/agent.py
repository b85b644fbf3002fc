"""A running agent: its tools wired, its lifespan entered, its server answering on a socket."""

import contextlib
import functools
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from meshd.clock import Clock, SystemClock
from meshd.domain.spec import ToolSpec
from meshd.errors import LifespanFailed
from meshd.plan.model import AgentPlan
from meshd.runtime.edge import Edge
from meshd.runtime.http import serving as http_serving
from meshd.runtime.offer import Offer, RunningOffer
from meshd.runtime.probes import Serving, probe_routes
from meshd.runtime.server import AgentServer, Applications
from meshd.runtime.tool import Conduct, Remote, RunningTool, ToolBody
from meshd.runtime.upstreams import InProcessUpstream, Traits
from meshd.runtime.workers import Workers

logger = logging.getLogger("meshd.agent")

SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loader made of an agent's manifest: live objects, ready to be served.

    `remotes` run the calls of the tools that have processes of their own.
    """

    bodies: Mapping[str, ToolBody]
    remotes: Mapping[str, Remote] = field(default_factory=dict[str, Remote])
    resources: tuple[Offer, ...] = ()
    prompts: tuple[Offer, ...] = ()
    lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None
    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


class RunningAgent:
    """One instance of an agent."""

    def __init__(
        self,
        plan: AgentPlan,
        instance: str,
        parts: Parts,
        edges: Mapping[tuple[str, str], Edge],
        workers: Workers,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Wire the tools; `edges` are the agent's own, by tool and parameter."""
        self.plan = plan
        self.instance = instance
        self.serving = Serving()
        self.endpoint = ""
        self.edges = edges
        specs = {tool.spec.name: tool.spec for tool in plan.tools}
        self._specs = specs
        self.tools = {
            name: RunningTool(
                plan.key,
                name,
                body,
                {parameter: edge for (tool, parameter), edge in edges.items() if tool == name},
                workers,
                conduct_of(specs[name], parts.remotes.get(name)),
            )
            for name, body in parts.bodies.items()
        }
        self._server = AgentServer(
            plan,
            self.tools,
            [RunningOffer(plan.key, offer, workers) for offer in parts.resources],
            [RunningOffer(plan.key, offer, workers) for offer in parts.prompts],
            clock=clock,
            tokens=parts.tokens,
        )
        self._lifespan = parts.lifespan
        self._drain: Callable[..., Awaitable[None]] | None = None

    def upstream(self, tool: str, tier: int = 0) -> InProcessUpstream:
        """Return the way for other agents in this process to call a tool of this one.

        `tier` says how well it matches what they need.
        """
        running, spec = self.tools[tool], self._specs[tool]
        traits = Traits(
            tier=tier,
            call=spec.call,
            idempotent=bool(spec.hints.idempotent),
            read_only=bool(spec.hints.read_only),
        )
        call = self._server.caller(running)
        # What goes through FastMCP hands over no chunks.
        chunked = None if running.body.signature.needs_server else running.chunked
        return InProcessUpstream(
            running.provider, call, traits, key=(self.instance, tool), chunked=chunked
        )

    @contextlib.asynccontextmanager
    async def running(
        self,
        listeners: Sequence[socket.socket],
        clock: Clock,
        *,
        endpoint: str,
        grace_seconds: float,
    ) -> AsyncGenerator[None, None]:
        """Serve on the sockets while the block runs; they are closed at the end in any case.

        `endpoint` is the base URL that others are told.
        """
        self.endpoint = endpoint
        async with contextlib.AsyncExitStack() as stack:
            for listener in listeners:
                stack.callback(listener.close)
            if self._lifespan is not None:
                await self._enter_lifespan(stack, self._lifespan())
            apps = await stack.enter_async_context(
                self.applications(allowed_hosts(listeners, endpoint), clock)
            )
            self.serving.started = True
            for edge in self.edges.values():
                edge.begin_to_settle()
            server = await stack.enter_async_context(
                http_serving(apps.laned, listeners, clock, grace_seconds=grace_seconds)
            )
            self._drain = functools.partial(server.drain, clock)
            yield

    @contextlib.asynccontextmanager
    async def applications(
        self, hosts: tuple[str, ...], clock: Clock
    ) -> AsyncGenerator[Applications, None]:
        """Run what answers requests, without a socket; `hosts` are the names it may be called."""
        routes = probe_routes(self.plan, self.tools, self.serving, clock)
        async with self._server.applications(routes, hosts) as applications:
            yield applications

    async def drain(self, linger_seconds: float = 0.0) -> None:
        """Take no new calls and let those under way finish; objects and lifespan stay.

        Connections that callers have open may be used once more in the time given.
        """
        self.serving.ready = False
        if self._drain is not None:
            await self._drain(linger_seconds=linger_seconds)

    async def _enter_lifespan(
        self, stack: contextlib.AsyncExitStack, lifespan: AbstractAsyncContextManager[Any]
    ) -> None:
        try:
            await lifespan.__aenter__()
        # The user's lifespan begins and ends here: an agent whose lifespan does not begin does not
        # start, and one that does not end well is reported and keeps nothing else from ending.
        except Exception as error:
            raise LifespanFailed(self.plan.key) from error
        stack.push_async_callback(self._leave_lifespan, lifespan)

    async def _leave_lifespan(self, lifespan: AbstractAsyncContextManager[Any]) -> None:
        try:
            await lifespan.__aexit__(None, None, None)
        except Exception:
            logger.exception("the lifespan of agent %s raised at its end", self.plan.key)


def conduct_of(spec: ToolSpec, remote: Remote | None) -> Conduct:
    """Return where a tool runs, and how many calls of it, as its manifest says."""
    return Conduct(
        execution=spec.execution,
        concurrency_max=spec.concurrency_max,
        concurrency_queue=spec.concurrency_queue,
        remote=remote,
    )


def allowed_hosts(listeners: Sequence[socket.socket], endpoint: str) -> tuple[str, ...]:
    """Return the names by which the server may be called, besides those of loopback.

    A server that listens on every address of its machine cannot know them: any will do.
    """
    bound = [listener.getsockname()[0] for listener in listeners]
    if any(ip_address(host).is_unspecified for host in bound):
        return ("*",)
    advertised = urlsplit(endpoint).hostname
    return (*bound, advertised) if advertised else tuple(bound)
