"""Cycles of required dependencies: found before an instance is let in, so that none ever closes."""

from collections.abc import Callable, Iterator

from meshd.domain.instance import Instance, OfferedTool, Status
from meshd.registry.offers import Key, Offers

Node = tuple[Key, OfferedTool]
ServedBy = Callable[[OfferedTool], Iterator[Node]]


def required_cycle(instance: Instance, offers: Offers) -> tuple[str, ...]:
    """Return the capabilities of a cycle that the instance would close, first and last the same.

    What the instance offers now counts instead of what it offered before. Instances that are not
    healthy close no cycle: they are checked again when they come back.
    """
    if not any(dependency.required for _, dependency in instance.dependencies()):
        return ()
    mine = Offers()
    mine.put(instance)

    def served_by(tool: OfferedTool) -> Iterator[Node]:
        for dependency in tool.dependencies:
            if dependency.required:
                for offer in (*mine.matching(dependency.want), *offers.matching(dependency.want)):
                    own = offer.instance is instance
                    if own or (offer.instance.id != instance.id and _is_healthy(offer.instance)):
                        yield (offer.instance.id, offer.tool.name), offer.tool

    seen: set[Key] = set()
    for tool in instance.tools:
        if (instance.id, tool.name) not in seen:
            cycle = _cycle_from(((instance.id, tool.name), tool), served_by, seen)
            if cycle:
                return cycle
    return ()


def _cycle_from(start: Node, served_by: ServedBy, seen: set[Key]) -> tuple[str, ...]:
    """Walk depth first, without recursion: chains may be as long as the mesh is large."""
    key, tool = start
    seen.add(key)
    path = {key: tool.capability}  # in order, as dicts are
    branches = [served_by(tool)]
    while branches:
        found = next(branches[-1], None)
        if found is None:
            branches.pop()
            path.popitem()
            continue
        key, tool = found
        if key in path:
            return (*list(path.values())[list(path).index(key) :], tool.capability)
        if key not in seen:
            seen.add(key)
            path[key] = tool.capability
            branches.append(served_by(tool))
    return ()


def _is_healthy(instance: Instance) -> bool:
    return instance.status is Status.HEALTHY
