"""The dependencies of one instance as they are resolved now, and how two such states differ."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from meshd.domain.instance import Dependency, Instance
from meshd.domain.resolve import Stage, Trace
from meshd.domain.spec import JsonValue
from meshd.registry.events import EventType
from meshd.registry.offer import Upstream
from meshd.registry.offers import Offers

MAX_LISTED = 20
"""How many candidates an event names at each stage."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """One dependency with the upstreams that can serve it, best first."""

    dependency: Dependency
    upstreams: tuple[Upstream, ...]

    @property
    def chosen(self) -> Upstream | None:
        """The best upstream, if there is any."""
        return self.upstreams[0] if self.upstreams else None


Wiring = Mapping[str, tuple[Resolved, ...]]
"""By tool name, one entry for each of its dependencies, in their order."""


@dataclass(frozen=True, slots=True)
class Change:
    """A dependency that has another provider than before, or none any more, or the first."""

    type: EventType
    tool: str
    reason: str
    details: Mapping[str, JsonValue]


def wiring_of(instance: Instance, offers: Offers) -> Wiring:
    """Resolve every dependency of an instance; tools without dependencies are left out."""
    wiring: dict[str, tuple[Resolved, ...]] = {}
    for tool in instance.tools:
        entries = tuple(Resolved(each, offers.upstreams(each.want)) for each in tool.dependencies)
        if entries:
            wiring[tool.name] = entries
    return wiring


def as_told(wiring: Wiring, instance: Instance) -> object:
    """Return what the instance learns of its wiring; equal values are no news to it."""
    count = None if instance.lists_upstreams else 1
    return {
        tool: [(each.dependency, each.upstreams[:count]) for each in entries]
        for tool, entries in wiring.items()
    }


def changes(before: Wiring | None, after: Wiring, offers: Offers) -> Iterator[Change]:
    """Yield the dependencies whose chosen provider changed, as events tell of them."""
    for tool, entries in after.items():
        old = (before or {}).get(tool, ())
        for index, entry in enumerate(entries):
            known = index < len(old) and old[index].dependency == entry.dependency
            prior = old[index].chosen if known else None
            if known and prior == entry.chosen:
                continue
            trace, _ = offers.resolve(entry.dependency.want)
            yield _change(tool, index, entry, prior, trace)


def _change(tool: str, index: int, entry: Resolved, prior: Upstream | None, trace: Trace) -> Change:
    want = entry.dependency.want
    details: dict[str, JsonValue] = {
        "consumer": tool,
        "dep_index": index,
        "spec": {
            "capability": want.capability,
            "namespace": want.namespace,
            "tags": [list(tag) if isinstance(tag, tuple) else tag for tag in want.tags],
            "version_constraint": want.version,
            "schema_mode": "none",
        },
        "stages": [_shown(stage) for stage in trace.stages],
    }
    if prior is not None:
        details["prior_chosen"] = _named(prior)
    if entry.chosen is None:
        reason = "provider_lost" if prior else "no_provider"
        return Change(EventType.UNRESOLVED, tool, reason, details)
    details["chosen"] = _named(entry.chosen)
    reason = "provider_changed" if prior else "provider_found"
    return Change(EventType.RESOLVED, tool, reason, details)


def _named(upstream: Upstream) -> dict[str, JsonValue]:
    return {
        "agent_id": upstream.instance,
        "endpoint": upstream.endpoint,
        "function_name": upstream.tool,
    }


def _shown(stage: Stage) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "stage": _STAGE_NAMES.get(stage.name, stage.name),
        "kept": list(stage.kept[:MAX_LISTED]),
    }
    if stage.evicted:
        shown["evicted"] = [
            {
                "id": evicted.id,
                "reason": type(evicted.reason).__name__,
                "details": {key: value for key, value in asdict(evicted.reason).items() if value},
            }
            for evicted in stage.evicted[:MAX_LISTED]
        ]
    if stage.name == "order" and stage.kept:
        shown |= {"chosen": stage.kept[0], "reason": "HighestScoreThenVersion"}
    return shown


_STAGE_NAMES = {"capability": "capability_match", "order": "tiebreaker"}
