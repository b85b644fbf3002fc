"""What changes between the processes of two generations, and why, in words.

An agent whose document says the same as before leaves its process alone, wherever it stands in
its file now. The number of replicas alone starts and stops replicas; all else restarts them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from meshd.domain.spec import AgentSpec, JsonValue
from meshd.plan.processes import ProcessSpec

FILE_CHANGED = "a Python file changed"

_NOT_COMPARED = frozenset({"name", "namespace", "origin", "origins", "replicas"})
_KEYS = {
    "roots": "python.path",
    "host": "http.host",
    "port": "http.port",
    "advertise": "http.advertise",
    "heartbeat_seconds": "heartbeat.interval",
    "max_request_bytes": "http.maxRequest",
    "provider_tokens": "call.auth of a provider",
}
"""Keys of the manifest, where they are not the names of the spec's fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessChanges:
    """Names of processes, sorted; those restarted with the reasons. True if there are any changes.

    A process is in exactly one of them.
    """

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    rescaled: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether anything changes."""
        return bool(self.started or self.stopped or self.restarted or self.rescaled)

    def as_values(self) -> dict[str, JsonValue]:
        """Return the changes as JSON values."""
        return {
            "started": list(self.started),
            "stopped": list(self.stopped),
            "restarted": {name: list(reasons) for name, reasons in self.restarted.items()},
            "rescaled": list(self.rescaled),
            "unchanged": list(self.unchanged),
        }


def changes(
    old: Sequence[ProcessSpec], new: Sequence[ProcessSpec], touched: Collection[str] = ()
) -> ProcessChanges:
    """Return what to do so that `new` runs; the Python files of `touched` processes changed."""
    before = {process.name: process for process in old}
    after = {process.name: process for process in new}
    common = sorted(before.keys() & after.keys())
    reasons = {
        name: _reasons(before[name], after[name], is_touched=name in touched) for name in common
    }
    kept = [name for name in common if not reasons[name]]
    return ProcessChanges(
        started=tuple(sorted(after.keys() - before.keys())),
        stopped=tuple(sorted(before.keys() - after.keys())),
        restarted={name: reasons[name] for name in common if reasons[name]},
        rescaled=tuple(n for n in kept if before[n].replicas != after[n].replicas),
        unchanged=tuple(n for n in kept if before[n].replicas == after[n].replicas),
    )


def _reasons(old: ProcessSpec, new: ProcessSpec, *, is_touched: bool) -> tuple[str, ...]:
    before = {agent.key: agent for agent in old.agents}
    after = {agent.key: agent for agent in new.agents}
    found = [f"`{key}` left the process" for key in sorted(before.keys() - after.keys())]
    found += [f"`{key}` joined the process" for key in sorted(after.keys() - before.keys())]
    for key in sorted(before.keys() & after.keys()):
        if keys := ", ".join(_changed_keys(before[key], after[key])):
            found.append(f"`{key}`: {keys} changed")
    if is_touched:
        found.append(FILE_CHANGED)
    return tuple(found)


def _changed_keys(old: AgentSpec, new: AgentSpec) -> Iterator[str]:
    """Yield the keys of the manifest whose values differ."""
    for name in (declared.name for declared in fields(AgentSpec)):
        if name not in _NOT_COMPARED and getattr(old, name) != getattr(new, name):
            yield _KEYS.get(name, name)
