"""How the instances of a mesh fare, from what the daemon says: for `status`, `wait`, `run`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshd.domain.names import agent_key

STYLES = {
    "ready": "green",
    "running": "green",
    "external": "green",
    "starting": "cyan",
    "draining": "yellow",
    "stopping": "yellow",
    "waiting": "yellow",
    "degraded": "yellow",
    "failed": "red",
    "stopped": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One instance, or an agent that has none."""

    agent: str
    instance: str
    status: str
    pid: int | None
    restarts: int
    endpoint: str
    why: str

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing to be said about it."""
        return self.status in ("ready", "stopped") and not self.why


def rows(status: Mapping[str, Any]) -> list[Row]:
    """Return the instances in the order of their agents."""
    return [row for agent in status["agents"] for row in _rows_of(agent, status["phase"])]


def _rows_of(agent: Mapping[str, Any], phase: str) -> Iterator[Row]:
    key = agent_key(agent["name"], agent["namespace"])
    wanting = agent["waiting_for"] if agent["instances"] else ()
    waits = f"waits for {', '.join(dict.fromkeys(wanting))}" if wanting else ""
    if not agent["instances"]:
        # Instances that end are not told of any more.
        is_ending = phase == "stopping" and agent["replicas"]
        yield Row(
            agent=key,
            instance="",
            status=phase if is_ending else agent["status"],
            pid=None,
            restarts=0,
            endpoint="",
            why="",
        )
    for one in agent["instances"]:
        registry = f"registry: {one['registry']}" if one["registry"] else ""
        yield Row(
            agent=key,
            instance=one["id"],
            status=one["status"],
            pid=one["pid"],
            restarts=one["restarts"],
            endpoint=one["endpoint"],
            why="; ".join(filter(None, (one["reason"], waits, registry))),
        )


def missing(status: Mapping[str, Any]) -> list[str]:
    """Return what keeps the mesh from being ready; nothing if it is."""
    found = [] if status["phase"] == "running" else [f"the mesh is {status['phase']}"]
    for agent in status["agents"]:
        key = agent_key(agent["name"], agent["namespace"])
        state = agent["status"]
        if state != "ready" and (state != "stopped" or agent["replicas"]):
            why = [
                row.why
                for row in _rows_of(agent, status["phase"])
                if row.status != "ready" and row.why
            ]
            found.append(f"`{key}` is {state}" + (f" ({why[0]})" if why else ""))
        elif agent["replicas"]:
            needs = dict.fromkeys(agent["waiting_for"])
            found += [f"`{key}` waits for `{capability}`" for capability in needs]
    return found


def problems(status: Mapping[str, Any]) -> list[str]:
    """Return what was found when instances were started again, such as an error in their code."""
    return [
        _problem(one["id"], problem)
        for agent in status["agents"]
        for one in agent["instances"]
        for problem in one["diagnostics"]
    ]


def _problem(instance: str, problem: Mapping[str, Any]) -> str:
    lines = [f"{instance}: {problem['severity']}[{problem['code']}]: {problem['message']}"]
    if problem["file"]:
        lines.append(f"  --> {problem['file']}:{problem['line']}:{problem['column']}")
    if problem["hint"]:
        lines.append(f"  hint: {problem['hint']}")
    return "\n".join(lines)


def change_lines(changes: Mapping[str, Any]) -> list[str]:
    """Return what a reload has changed, a line for each process."""
    lines = [f"started {name}" for name in changes.get("started", ())]
    restarted: Mapping[str, Sequence[str]] = changes.get("restarted", {})
    lines += [f"restarted {name} ({'; '.join(why)})" for name, why in restarted.items()]
    lines += [f"rescaled {name}" for name in changes.get("rescaled", ())]
    return lines + [f"stopped {name}" for name in changes.get("stopped", ())]


def few(texts: Sequence[str], limit: int = 6) -> str:
    """Return texts as one, and how many are left out if there are many."""
    left = len(texts) - limit
    return "; ".join(texts if left <= 0 else [*texts[:limit], f"and {left} more"])
