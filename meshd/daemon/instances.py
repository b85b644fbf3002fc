"""The instances that this process serves: user code wired, answering, and in the registry.

The one way to serve an agent, for a process of the daemon, for `meshd agent run`, and for
`--in-process`. Start: build the FastMCP servers, start the HTTP servers, start the heartbeats.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from meshd.callables.failures import summary, users_traceback
from meshd.clock import Clock
from meshd.daemon.garbage import tune_garbage_collection
from meshd.daemon.messages import EdgeView, Post, Registered, Report, Wired, Withdrawn
from meshd.daemon.prepare import Loading
from meshd.daemon.stages import Stages
from meshd.daemon.wiring import edges_of, parts_of, plan_of, tool_processes_of
from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec
from meshd.errors import InvalidInput, LifespanFailed
from meshd.runtime.agent import RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.heartbeat import Callbacks, Heartbeat, RegistryState
from meshd.runtime.membership import Membership
from meshd.runtime.registration import EdgeState, Identity
from meshd.runtime.registry_client import RegistryClient
from meshd.runtime.tool_processes import ToolProcesses
from meshd.runtime.workers import Workers

SETTLE_SECONDS = 5.0
"""How long a call waits for the first word of the registry."""
GC_THRESHOLDS = (10_000, 2, 50)
"""Fewer collections than Python's default; with the heap frozen after start, each is short."""
LEAVE_SECONDS = 1.0


class Instances:
    """All instances of one process."""

    def __init__(
        self,
        posts: Sequence[Post],
        loading: Loading,
        *,
        registry_url: str,
        grace_seconds: float,
        report: Callable[[Report], None],
        clock: Clock,
    ) -> None:
        """Take what to serve, and what came of loading it."""
        self.stages = Stages(clock)
        self._posts = posts
        self._loaded = loading.agents
        self._project = loading.project
        self._registry_url = registry_url
        self._grace_seconds = grace_seconds
        self._report = report
        self._clock = clock
        self._agents: dict[str, RunningAgent] = {}
        self._heartbeats: list[Heartbeat] = []
        self._beating: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(
        self, listeners: Mapping[str, Sequence[socket.socket]]
    ) -> AsyncGenerator[None, None]:
        """Serve while the block runs; `listeners`, by instance id, are closed at the end.

        Raises:
            InvalidInput: an agent's lifespan raised, or a socket cannot be listened on.

        """
        workers = Workers()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(workers.close)
            for listener in (each for listed in listeners.values() for each in listed):
                stack.callback(listener.close)
            processes = self._tool_processes(stack)
            client = await stack.enter_async_context(McpClient())
            settle = SETTLE_SECONDS if self._registry_url else 0.0
            with self.stages.stage("build the FastMCP server"):
                edges = {
                    post.instance: edges_of(
                        self._loaded[post.agent.key], post.tokens, self._clock, settle
                    )
                    for post in self._posts
                }
                self._agents = {
                    post.instance: self._built(
                        post, edges[post.instance], workers, processes[post.instance]
                    )
                    for post in self._posts
                }
            with self.stages.stage("start the HTTP server"):
                for post in self._posts:
                    await self._serve(stack, post, listeners[post.instance])
            with self.stages.stage("start the heartbeat loop"):
                if self._registry_url:
                    await self._join(stack, client)
                else:
                    for own in edges.values():
                        for edge in own.values():
                            edge.wire(())
            for agent in self._agents.values():
                agent.serving.ready = True
            tune_garbage_collection(GC_THRESHOLDS)
            yield

    async def drain(self, reason: str = "", linger_seconds: float = 0.0) -> None:
        """Leave the registry, take no new calls, and let those under way finish.

        Connections that callers have open may be used once more in the time given.
        """
        for task in self._beating:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(beat.leave(reason) for beat in self._heartbeats))
        # Together, so that one slow request does not use up the grace time of all agents.
        drains = [
            asyncio.ensure_future(agent.drain(linger_seconds)) for agent in self._agents.values()
        ]
        await self._clock.sleep(0)  # each closes its sockets first
        self._report(Withdrawn(reason=reason))
        await asyncio.gather(*drains)

    def _built(
        self, post: Post, edges: Any, workers: Workers, processes: Mapping[str, ToolProcesses]
    ) -> RunningAgent:
        loaded = self._loaded[post.agent.key]
        parts = parts_of(loaded, processes, post.tokens)
        return RunningAgent(plan_of(loaded), post.instance, parts, edges, workers)

    def _tool_processes(
        self, stack: contextlib.AsyncExitStack
    ) -> dict[str, dict[str, ToolProcesses]]:
        """Begin to start the processes of tools that have some; they end with the stack."""
        made = {
            post.instance: tool_processes_of(
                self._loaded[post.agent.key], self._project, self._clock
            )
            for post in self._posts
        }
        for processes in (each for own in made.values() for each in own.values()):
            processes.warm_up()
            stack.push_async_callback(processes.close)
        return made

    async def _serve(
        self, stack: contextlib.AsyncExitStack, post: Post, listeners: Sequence[socket.socket]
    ) -> None:
        agent = self._agents[post.instance]
        serving = agent.running(
            listeners,
            self._clock,
            endpoint=post.endpoint,
            grace_seconds=self._grace_seconds,
        )
        try:
            await stack.enter_async_context(serving)
        except LifespanFailed as error:
            raise InvalidInput((_lifespan_problem(post.agent, error),)) from error
        except OSError as error:
            raise InvalidInput((_listen_problem(post, error),)) from error

    async def _join(self, stack: contextlib.AsyncExitStack, client: McpClient) -> None:
        """Begin to beat for each instance; the tasks end with the stack."""
        registry = await stack.enter_async_context(RegistryClient(self._registry_url))
        stack.push_async_callback(self._stop_beating)
        self._heartbeats = [self._heartbeat(post, client, registry) for post in self._posts]
        self._beating = [asyncio.ensure_future(beat.run()) for beat in self._heartbeats]

    def _heartbeat(self, post: Post, client: McpClient, registry: RegistryClient) -> Heartbeat:
        identity = Identity(
            instance=post.instance,
            incarnation=post.incarnation,
            endpoint=post.endpoint,
            interval_seconds=post.agent.heartbeat_seconds,
        )

        def wired(edges: tuple[EdgeState, ...]) -> None:
            views = tuple(EdgeView.of(edge) for edge in edges)
            self._report(Wired(instance=post.instance, edges=views))

        def stands(state: RegistryState) -> None:
            told = Registered(instance=post.instance, status=state.status, reason=state.reason)
            self._report(told)

        agent = self._agents[post.instance]
        member = Membership(agent, identity, client, self._agents, wired, self._clock)
        callbacks = Callbacks(member.describe, member.read, member.apply, stands)
        rng = random.Random()  # noqa: S311  (no secret depends on the jitter)
        return Heartbeat(identity, registry, callbacks, self._clock, rng, starts_with_others=True)

    async def _stop_beating(self) -> None:
        for task in self._beating:
            task.cancel()
        await asyncio.gather(*self._beating, return_exceptions=True)


def _lifespan_problem(agent: AgentSpec, failed: LifespanFailed) -> Diagnostic:
    cause = failed.__cause__
    assert cause is not None  # noqa: S101  (LifespanFailed always has one)
    return Diagnostic(
        code="M402",
        message=f"the lifespan of agent `{agent.key}` raised `{type(cause).__name__}`",
        span=agent.at("lifespan"),
        label=summary(cause),
        hint="correct what it does before it yields",
        detail=users_traceback(cause, agent.roots),
    )


def _listen_problem(post: Post, error: OSError) -> Diagnostic:
    agent = post.agent
    return Diagnostic(
        code="M401",
        message=f"agent `{agent.key}` cannot listen: {error.strerror or error}",
        span=agent.at("port" if agent.port else "host"),
        hint="choose another `http.port`, or 0 for any free one",
    )
