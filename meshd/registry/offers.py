"""All offered tools by capability and namespace, each with its availability: what is resolved over.

Goes in: instances as they come, change and go. Comes out: which places changed with them. A tool is
available if its instance is healthy and each of its required dependencies is served by an available
tool; so a change runs on from consumer to consumer, and only as far as it changes something. What
was found for a need is remembered until its capability changes.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from meshd.domain.instance import Instance
from meshd.domain.names import agent_key
from meshd.domain.resolve import Trace, Want, reasons_against, resolve
from meshd.registry.offer import Offer, Upstream
from meshd.registry.reasons import evaluation_cycle, status_reason, why_unserved

_PENDING = "not judged yet"
MAX_REMEMBERED = 100_000

Key = tuple[str, str]
"""An instance's id and a tool's name."""
Place = tuple[str, str]
"""A capability, and the namespace in which it is offered."""


class Offers:
    """The index; `put` and `remove` return the places where consumers see a change."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Offer] = {}
        self._by_capability: dict[str, dict[str, dict[Key, Offer]]] = {}
        self._dependents: dict[str, dict[Key, Offer]] = {}
        self._tools_of: dict[str, tuple[Key, ...]] = {}
        self._found: dict[str, dict[Want, tuple[Upstream, ...]]] = {}
        self._remembered = 0

    def put(self, instance: Instance) -> set[Place]:
        """Add an instance, or replace what it offered before."""
        before = self._take_out(instance.id)
        reason = status_reason(instance.status)
        agent = agent_key(instance.agent, instance.namespace)
        after = {
            (instance.id, tool.name): Offer(instance, tool, agent, reason)
            for tool in instance.tools
        }
        self._tools_of[instance.id] = tuple(after)
        self._by_key.update(after)
        for key, offer in after.items():
            tool = offer.tool
            if tool.capability:
                namespaces = self._by_capability.setdefault(tool.capability, {})
                namespaces.setdefault(instance.namespace, {})[key] = offer
            for dependency in offer.required:
                self._dependents.setdefault(dependency.want.capability, {})[key] = offer
        return self._forgotten(_changed(before, after) | self._settle(before, after))

    def remove(self, instance: str) -> set[Place]:
        """Take an instance out."""
        before = self._take_out(instance)
        return self._forgotten(_changed(before, {}) | self._settle(before, {}))

    def get(self, instance: str, tool: str) -> Offer:
        """Return the offer of a registered instance."""
        return self._by_key[instance, tool]

    def of(self, capability: str, namespace: str | None = None) -> Iterator[Offer]:
        """Yield the offers of a capability, available or not; no namespace means any."""
        namespaces = self._by_capability.get(capability, {})
        if namespace is not None:
            yield from namespaces.get(namespace, {}).values()
            return
        for offers in namespaces.values():
            yield from offers.values()

    def capabilities(self) -> Iterable[str]:
        """Return the names of all capabilities that are offered."""
        return self._by_capability.keys()

    def upstreams(self, want: Want) -> tuple[Upstream, ...]:
        """Return what serves a need, best first."""
        found = self._found.setdefault(want.capability, {})
        if (upstreams := found.get(want)) is None:
            _, upstreams = self._resolved(self.of(want.capability, want.namespace), want)
            found[want] = upstreams
            self._remembered += 1
            if self._remembered > MAX_REMEMBERED:
                self._found.clear()
                self._remembered = 0
        return upstreams

    def resolve(self, want: Want) -> tuple[Trace, tuple[Upstream, ...]]:
        """Resolve a need over all offers of its capability, and tell how; best upstream first."""
        return self._resolved(self.of(want.capability), want)

    def _resolved(self, offers: Iterable[Offer], want: Want) -> tuple[Trace, tuple[Upstream, ...]]:
        trace = resolve([offer.provider for offer in offers], want)
        found = (
            self._by_key[match.provider.instance, match.provider.tool].upstream
            for match in trace.matches
        )
        return trace, tuple(found)

    def matching(self, want: Want) -> Iterator[Offer]:
        """Yield the offers that would serve the need if all were available."""
        for offer in self.of(want.capability, want.namespace):
            if not reasons_against(offer.as_available(), want):
                yield offer

    def _forgotten(self, places: set[Place]) -> set[Place]:
        """Forget what was found for needs of these capabilities."""
        for capability, _ in places:
            self._remembered -= len(self._found.pop(capability, ()))
        return places

    def _take_out(self, instance: str) -> dict[Key, Offer]:
        taken: dict[Key, Offer] = {}
        for key in self._tools_of.pop(instance, ()):
            offer = self._by_key.pop(key)
            taken[key] = offer
            if namespaces := self._by_capability.get(offer.tool.capability):
                _discard(namespaces, offer.instance.namespace, key)
                if not namespaces:
                    del self._by_capability[offer.tool.capability]
            for dependency in offer.required:
                _discard(self._dependents, dependency.want.capability, key)
        return taken

    def _settle(self, before: Mapping[Key, Offer], after: Mapping[Key, Offer]) -> set[Place]:
        """Judge new offers and all that depend on the change; return the places that flip.

        Whatever could lose its provider starts as unavailable and rises when it is served, so tools
        that would serve each other in a circle stay down. What can only gain just rises.
        """
        touched = {each.tool.capability for each in (*before.values(), *after.values())}
        scope = {key: offer for key, offer in after.items() if _depends(offer)}
        if not scope and self._dependents.keys().isdisjoint(touched):
            return set()
        scope |= self._reach({o.tool.capability for o in before.values() if o.is_available})
        near = {
            key: offer
            for each in (*before.values(), *after.values())
            for key, offer in self._dependents.get(each.tool.capability, {}).items()
            if _depends(offer) and not offer.is_available
        }
        was = {key: offer.is_available for key, offer in scope.items()}
        for offer in scope.values():
            offer.judge(_PENDING)
        risen = self._rise([*scope.values(), *near.values()])
        blocked = {key: offer for key, offer in (scope | near).items() if not offer.is_available}
        self._give_reasons(blocked)
        flipped = [offer for key, offer in scope.items() if offer.is_available != was[key]]
        flipped += [offer for key, offer in risen.items() if key not in scope]
        return _places(flipped)

    def _reach(self, capabilities: set[str]) -> dict[Key, Offer]:
        """Return the available offers that need the capabilities, directly or through others."""
        reach: dict[Key, Offer] = {}
        seen = set(capabilities)
        waiting = deque(capabilities)
        while waiting:
            for key, offer in self._dependents.get(waiting.popleft(), {}).items():
                if offer.is_available:
                    reach[key] = offer
                    if offer.tool.capability not in seen:
                        seen.add(offer.tool.capability)
                        waiting.append(offer.tool.capability)
        return reach

    def _rise(self, offers: Iterable[Offer]) -> dict[Key, Offer]:
        """Turn on what is served, and what is served by that; return all that were turned on."""
        risen: dict[Key, Offer] = {}
        waiting = deque(offers)
        while waiting:
            offer = waiting.popleft()
            if offer.is_available or not _depends(offer):
                continue
            reason = self._unserved(offer)
            offer.judge(reason)
            if not reason:
                risen[offer.instance.id, offer.tool.name] = offer
                waiting.extend(self._dependents.get(offer.tool.capability, {}).values())
        return risen

    def _give_reasons(self, blocked: Mapping[Key, Offer]) -> None:
        """Say why offers are down: a cycle, if they would stand as soon as all of them stood."""
        for offer in blocked.values():
            offer.judge("")
        waiting = deque(blocked.values())
        while waiting:
            offer = waiting.popleft()
            if offer.is_available and self._unserved(offer):
                offer.judge(_PENDING)
                dependents = self._dependents.get(offer.tool.capability, {})
                waiting.extend(other for key, other in dependents.items() if key in blocked)
        circular = {key for key, offer in blocked.items() if offer.is_available}
        for key in circular:
            blocked[key].judge(evaluation_cycle(blocked[key].required[0]))
        for key in blocked.keys() - circular:
            blocked[key].judge(self._unserved(blocked[key]))

    def _unserved(self, offer: Offer) -> str:
        for dependency in offer.required:
            want = dependency.want
            providers = (other.provider for other in self.of(want.capability, want.namespace))
            if reason := why_unserved(dependency, providers):
                return reason
        return ""


def _depends(offer: Offer) -> bool:
    """Say whether dependencies decide on the availability; those of a lost instance do not."""
    return bool(offer.required) and not status_reason(offer.instance.status)


def _changed(before: Mapping[Key, Offer], after: Mapping[Key, Offer]) -> set[Place]:
    changed: list[Offer] = []
    for key, new in after.items():
        old = before.get(key)
        if old is None:
            changed.append(new)
        elif (old.provider, old.upstream) != (new.provider, new.upstream):
            changed += old, new
    changed += [old for key, old in before.items() if key not in after]
    return _places(changed)


def _places(offers: Iterable[Offer]) -> set[Place]:
    return {
        (offer.tool.capability, offer.instance.namespace)
        for offer in offers
        if offer.tool.capability
    }


def _discard(index: dict[str, dict[Key, Offer]], name: str, key: Key) -> None:
    entries = index.get(name, {})
    entries.pop(key, None)
    if not entries:
        index.pop(name, None)
