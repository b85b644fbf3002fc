"""Who needs what: the index that says whose wiring a change concerns.

A change only marks consumers. They are resolved again when they ask, or when somebody asks for all
that are marked; so a burst of changes costs each of them once.
"""

from collections.abc import Iterable

from meshd.domain.instance import Instance
from meshd.registry.offers import Place

_Searched = tuple[str, str | None]
"""A capability, and the namespace that is searched for it; None searches all."""


class Consumers:
    """The instances that have dependencies, and which of them are to be resolved again."""

    def __init__(self) -> None:
        self._of: dict[_Searched, dict[str, None]] = {}
        self._marked: dict[str, None] = {}

    def put(self, instance: Instance, before: Instance | None) -> None:
        """Add an instance, or replace what it needed before, and mark it."""
        if before is not None:
            self._take_out(before)
        for searched in _searched(instance):
            self._of.setdefault(searched, {})[instance.id] = None
        self._marked[instance.id] = None

    def remove(self, instance: Instance) -> None:
        """Take an instance out."""
        self._take_out(instance)
        self._marked.pop(instance.id, None)

    def mark(self, places: Iterable[Place]) -> None:
        """Mark those who search these places."""
        for capability, namespace in places:
            for searched in ((capability, namespace), (capability, None)):
                if found := self._of.get(searched):
                    self._marked.update(found)

    def is_marked(self, instance: str) -> bool:
        """Say whether an instance is to be resolved again."""
        return instance in self._marked

    def unmark(self, instance: str) -> None:
        """Note that an instance was resolved."""
        self._marked.pop(instance, None)

    def marked(self) -> tuple[str, ...]:
        """Return all that are to be resolved again."""
        return tuple(self._marked)

    def _take_out(self, instance: Instance) -> None:
        for searched in _searched(instance):
            found = self._of.get(searched, {})
            found.pop(instance.id, None)
            if not found:
                self._of.pop(searched, None)


def _searched(instance: Instance) -> set[_Searched]:
    return {
        (dependency.want.capability, dependency.want.namespace)
        for _, dependency in instance.dependencies()
    }
