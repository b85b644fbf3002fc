"""An instance as a member of the mesh: what the registry says of its needs becomes upstreams.

A provider in the same process is called directly, every other one over HTTP. An answer that says
what the one before said touches nothing. A registry that has forgotten everybody, because it began
anew, does not know the others yet: until they had time to come back, what it does not know stays.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from meshd.clock import Clock
from meshd.domain.spec import JsonValue
from meshd.domain.way import Reach, way_to
from meshd.runtime.agent import RunningAgent
from meshd.runtime.client import McpClient
from meshd.runtime.edge import Edge
from meshd.runtime.registration import (
    Answer,
    EdgeState,
    Identity,
    UpstreamRef,
    digest_of,
    read_answer,
    registration,
)
from meshd.runtime.upstreams import HttpUpstream, Traits, Upstream

PATIENCE_INTERVALS = 2.0
"""How long others have to come back to a registry that has forgotten everybody."""


class Membership:
    """The needs of one instance, wired as its registry says."""

    def __init__(
        self,
        agent: RunningAgent,
        identity: Identity,
        client: McpClient,
        local: Mapping[str, RunningAgent],
        on_wired: Callable[[tuple[EdgeState, ...]], None],
        clock: Clock,
    ) -> None:
        """Take the instances of this process by id (`local`), and who hears of a new wiring."""
        self.identity = identity
        self._agent = agent
        self._client = client
        self._local = local
        self._on_wired = on_wired
        self._clock = clock
        self._digest = ""
        self._patient_until = 0.0
        self._known: Mapping[tuple[str, str], tuple[UpstreamRef, ...]] = {}

    def describe(self) -> dict[str, Any]:
        """Return the body of a full heartbeat."""
        return registration(self._agent.plan, self.identity)

    def read(self, body: JsonValue) -> Answer:
        """Read the answer to it, or raise `MalformedAnswer`."""
        return read_answer(self._agent.plan, body)

    def apply(self, answer: Answer) -> bool:
        """Take over the wiring, if it is not the one that holds.

        False means that something that the answer does not know was kept, because the registry had
        forgotten the instance, and so probably others; it has to be asked for again.
        """
        now = self._clock.monotonic()
        if answer.was_forgotten:
            self._patient_until = now + PATIENCE_INTERVALS * self.identity.interval_seconds
        wiring, digest = answer.wiring, answer.digest
        kept = now < self._patient_until and any(
            not upstreams and self._known.get(slot) for slot, upstreams in wiring.items()
        )
        if kept:
            wiring = {
                slot: upstreams or self._known.get(slot, ()) for slot, upstreams in wiring.items()
            }
            digest = digest_of(wiring)
        if digest != self._digest:
            self._digest, self._known = digest, wiring
            for slot, edge in self._agent.edges.items():
                edge.wire(tuple(map(self._upstream, wiring.get(slot, ()))))
            self._on_wired(self.edges())
        return not kept

    def edges(self) -> tuple[EdgeState, ...]:
        """Return the needs as they are wired now."""
        return tuple(self._state(slot, edge) for slot, edge in self._agent.edges.items())

    def _state(self, slot: tuple[str, str], edge: Edge) -> EdgeState:
        tool, parameter = slot
        providers = self._known.get(slot, ())
        status: Literal["resolved", "unresolved", "waiting"] = "waiting"
        if edge.wired:
            status = "resolved" if providers else "unresolved"
        return EdgeState(tool, parameter, edge.binding.need.capability, status, providers)

    def _upstream(self, provider: UpstreamRef) -> Upstream:
        local = self._local.get(provider.instance)
        # A registry may yet know an earlier start of it, at another endpoint and with other tools.
        if local is not None and provider.tool not in local.tools:
            local = None
        terms = provider.terms
        reach = Reach(
            is_same_agent=provider.agent == self._agent.plan.key,
            is_same_process=local is not None,
            is_streaming=bool(terms.call.streaming),
            scheme=urlsplit(provider.endpoint).scheme,
        )
        if local is not None and way_to(reach).is_direct:
            return local.upstream(provider.tool, -provider.rank)
        traits = Traits(
            tier=-provider.rank,
            call=terms.call,
            idempotent=terms.idempotent,
            read_only=terms.read_only,
            auth_required=terms.auth_required,
        )
        return HttpUpstream(
            f"{provider.agent}.{provider.tool}",
            provider.endpoint,
            provider.tool,
            self._client,
            self._clock,
            traits,
            key=(provider.instance, provider.endpoint, provider.tool),
        )
