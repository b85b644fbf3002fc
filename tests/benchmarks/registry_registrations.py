"""Full heartbeats a second, ours and MCP Mesh's registry in turn: unchanged ones, and first ones.

Each registry has one core and its SQLite, the load has the other. An agent has ten tools with
schemas. Run with `python -m tests.benchmarks.registry_registrations`.
"""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks.raw_load import Load, for_seconds, once, ratios, shown
from tests.benchmarks.registries import measured, ours, posts, theirs
from tests.e2e.registries import RegistryProcess

AGENTS = 1_000
CONNECTIONS = 16
ROUNDS = 3
SECONDS = 1.5

Running = Callable[[Path], AbstractContextManager[RegistryProcess]]


def first(folder: Path, running: Running) -> Load:
    """Register agents with a registry that knows nobody."""
    with running(folder) as registry:
        return registered(registry)


def registered(registry: RegistryProcess) -> Load:
    """Register agents, each once."""
    load = measured(registry.process.pid, once(registry.port, posts(AGENTS), CONNECTIONS))
    assert dict(load.statuses) == {200: AGENTS}
    return load


def again(registry: RegistryProcess) -> Load:
    """Let one of the agents say over and over what it said."""
    work = for_seconds(registry.port, posts(1), 1, SECONDS)
    return measured(registry.process.pid, work)


def main() -> None:
    first_ours: list[Load] = []
    first_theirs: list[Load] = []
    again_ours: list[Load] = []
    again_theirs: list[Load] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for turn in range(ROUNDS):
            first_ours.append(first(folder / f"ours-{turn}", ours))
            first_theirs.append(first(folder / f"theirs-{turn}", theirs))
        with ours(folder / "ours") as our, theirs(folder / "theirs") as their:
            registered(our)
            registered(their)
            for _ in range(ROUNDS):
                again_ours.append(again(our))
                again_theirs.append(again(their))
    print(f"full heartbeats of {AGENTS:,} agents with 10 tools")
    print(shown(f"first, {CONNECTIONS} connections: ours", first_ours))
    print(shown(f"first, {CONNECTIONS} connections: theirs", first_theirs))
    print(shown("unchanged, 1 connection: ours", again_ours))
    print(shown("unchanged, 1 connection: theirs", again_theirs))
    print(ratios("first", first_ours, first_theirs, "10"))
    print(ratios("unchanged", again_ours, again_theirs, "10"))


if __name__ == "__main__":
    main()
