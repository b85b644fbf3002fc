"""Which providers serve a need, best first, and why the others do not: one pure function.

In: candidates from any source (a plan, a registry's index), what is wanted, and a policy. Out: a
trace that names every candidate once, as a match or as evicted at a stage with a typed reason.
The order of the candidates does not matter. The registry, `plan` and `explain` all ask here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from meshd.domain.names import DEFAULT_NAMESPACE, agent_key
from meshd.domain.spec import NeedSpec
from meshd.domain.tags import (
    DEFAULT_POLICY,
    ExtraTagDisallowed,
    MissingTag,
    Policy,
    WantedTags,
    tag_points,
    tag_problem,
)
from meshd.domain.version import version_order, version_satisfies

StageName = Literal["health", "capability", "namespace", "tags", "version", "order"]

Behind = Literal["", "score", "version", "name"]
"""By what a match stands below the winner; the winner itself has none."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Provider:
    """A tool that offers a capability; `instance` is empty where an agent stands for all of its.

    The order of the fields is the order of providers that are equal in score and version.
    """

    agent: str
    namespace: str = DEFAULT_NAMESPACE
    instance: str = ""
    tool: str
    capability: str
    version: str = ""
    tags: tuple[str, ...] = ()
    available: bool = True
    unavailable_reason: str = ""

    @property
    def agent_key(self) -> str:
        """The agent's name, with its namespace before it outside `default`."""
        return agent_key(self.agent, self.namespace)

    @property
    def id(self) -> str:
        """The tool as `agent.tool`, or `instance.tool` where the instance is known."""
        return f"{self.instance or self.agent_key}.{self.tool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a need asks for, without where it is asked; no namespace means any."""

    capability: str
    namespace: str | None = DEFAULT_NAMESPACE
    version: str = ""
    tags: WantedTags = ()

    @classmethod
    def of(cls, need: NeedSpec) -> "Want":
        """Return what the need asks for."""
        return cls(
            capability=need.capability,
            namespace=need.namespace,
            version=need.version,
            tags=need.tags,
        )


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The provider takes no calls now."""

    reason: str


@dataclass(frozen=True, slots=True)
class OtherCapability:
    """The provider offers something else."""

    capability: str


@dataclass(frozen=True, slots=True)
class OtherNamespace:
    """The provider is in a namespace that the need does not search."""

    namespace: str


@dataclass(frozen=True, slots=True)
class VersionConstraintFailed:
    """The provider's version does not satisfy the constraint."""

    version: str
    constraint: str


Reason = (
    Unavailable
    | OtherCapability
    | OtherNamespace
    | MissingTag
    | ExtraTagDisallowed
    | VersionConstraintFailed
)


@dataclass(frozen=True, slots=True)
class Evicted:
    """A candidate that a stage took out, by its id, and why."""

    id: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of resolution: the ids that it kept, and what it took out."""

    name: StageName
    kept: tuple[str, ...]
    evicted: tuple[Evicted, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A provider that serves the need, with its score from tags."""

    provider: Provider
    score: int
    behind: Behind = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """How a need was resolved: all matches, best first, and the stages that led to them."""

    want: Want
    matches: tuple[Match, ...]
    stages: tuple[Stage, ...]

    @property
    def winner(self) -> Provider | None:
        """The best match, if there is any."""
        return self.matches[0].provider if self.matches else None


def resolve(providers: Iterable[Provider], want: Want, policy: Policy = DEFAULT_POLICY) -> Trace:
    """Resolve a need over the candidates: score first, then the newest version, then the name."""
    candidates = sorted(providers)
    stages: list[Stage] = []
    for name, check in _CHECKS:
        kept: list[Provider] = []
        evicted: list[Evicted] = []
        for candidate in candidates:
            if (reason := check(candidate, want)) is None:
                kept.append(candidate)
            else:
                evicted.append(Evicted(candidate.id, reason))
        stages.append(Stage(name, _ids(kept), tuple(evicted)))
        candidates = kept
    matches = _ranked(candidates, want, policy)
    stages.append(Stage("order", _ids(match.provider for match in matches)))
    return Trace(want, matches, tuple(stages))


def reasons_against(provider: Provider, want: Want) -> tuple[Reason, ...]:
    """Return all that keeps a provider from serving the need, in the order of the stages."""
    return tuple(reason for _, check in _CHECKS if (reason := check(provider, want)) is not None)


def _ids(providers: Iterable[Provider]) -> tuple[str, ...]:
    return tuple(provider.id for provider in providers)


def _ranked(kept: list[Provider], want: Want, policy: Policy) -> tuple[Match, ...]:
    """Rank providers that are sorted by name already."""
    ranks = [
        (tag_points(provider.tags, want.tags, policy), version_order(provider.version))
        for provider in kept
    ]
    # A reversed sort is stable too, so equal ranks stay in the order of names.
    order = sorted(range(len(kept)), key=ranks.__getitem__, reverse=True)
    matches: list[Match] = []
    for index in order:
        score, version = ranks[index]
        best_score, best_version = ranks[order[0]]
        behind: Behind = "name" if matches else ""
        if score != best_score:
            behind = "score"
        elif version != best_version:
            behind = "version"
        matches.append(Match(kept[index], score, behind))
    return tuple(matches)


def _check_health(provider: Provider, _: Want) -> Reason | None:
    return None if provider.available else Unavailable(provider.unavailable_reason)


def _check_capability(provider: Provider, want: Want) -> Reason | None:
    fits = provider.capability == want.capability
    return None if fits else OtherCapability(provider.capability)


def _check_namespace(provider: Provider, want: Want) -> Reason | None:
    fits = want.namespace is None or provider.namespace == want.namespace
    return None if fits else OtherNamespace(provider.namespace)


def _check_tags(provider: Provider, want: Want) -> Reason | None:
    return tag_problem(provider.tags, want.tags)


def _check_version(provider: Provider, want: Want) -> Reason | None:
    fits = version_satisfies(provider.version, want.version)
    return None if fits else VersionConstraintFailed(provider.version, want.version)


_CHECKS: tuple[tuple[StageName, Callable[[Provider, Want], Reason | None]], ...] = (
    ("health", _check_health),
    ("capability", _check_capability),
    ("namespace", _check_namespace),
    ("tags", _check_tags),
    ("version", _check_version),
)
