"""Whom each need of a tool would call, in which order and by which way, and why the others not.

Pure: speaks of agents as the plan has them. Which instances there are now, a registry knows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshd.domain.misses import in_words
from meshd.domain.resolve import Want
from meshd.domain.way import Reach, way_to
from meshd.plan.model import AgentPlan, Binding, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One provider of a need: the way to it, or why it is none."""

    provider: str
    version: str = ""
    score: int = 0
    way: str = ""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRoutes:
    """A need and the providers of its capability: those that serve it, best first, and the rest."""

    parameter: str
    capability: str
    serving: tuple[Route, ...]
    lost: tuple[Route, ...]
    misses: tuple[str, ...]


def routes_of(plan: Plan, agent: str, tool: str) -> tuple[NeedRoutes, ...]:
    """Return the routes of each need of a tool; `agent` is the key of its agent."""
    agents = {one.key: one for one in plan.agents}
    return tuple(
        NeedRoutes(
            parameter=binding.parameter,
            capability=binding.need.capability,
            serving=tuple(_serving(binding, agents)),
            lost=tuple(_lost(binding)),
            misses=binding.misses,
        )
        for binding in plan.bindings_of(agent, tool)
    )


def _serving(binding: Binding, agents: Mapping[str, AgentPlan]) -> Iterator[Route]:
    consumer = agents[binding.consumer]
    for provider in binding.providers:
        other = agents[provider.agent]
        is_same_agent = other.key == consumer.key
        shares = consumer.process is not None and consumer.process == other.process
        decision = way_to(
            Reach(
                is_same_agent=is_same_agent,
                is_same_process=is_same_agent or shares,
                is_streaming=bool(binding.call.streaming),
            )
        )
        yield Route(
            provider=provider.id,
            version=provider.version,
            score=provider.score,
            way=decision.way.value,
            reason=decision.reason,
        )


def _lost(binding: Binding) -> Iterator[Route]:
    want = Want.of(binding.need)
    for eviction in binding.evicted:
        yield Route(provider=eviction.id, reason=in_words(eviction.reason, want))
