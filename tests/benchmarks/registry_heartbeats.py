"""Quick heartbeats a second of 1,000 agents: ours, MCP Mesh's registry and a bare echo in turn.

Each server has one core, the load has the other; the agents have ten capabilities each. The echo is
the least that an application can do on the same HTTP server. Run with
`python -m tests.benchmarks.registry_heartbeats`.
"""

import tempfile
from pathlib import Path

from tests.benchmarks.raw_load import Load, for_seconds, once, ratios, shown
from tests.benchmarks.registries import bare_echo, heads, measured, ours, posts, theirs
from tests.e2e.registries import RegistryProcess

AGENTS = 1_000
CONNECTIONS = 16
ROUNDS = 3
SECONDS = 1.5


def register(registry: RegistryProcess) -> None:
    # Twice, because MCP Mesh's registry has news for everybody after each first registration.
    for _ in range(2):
        load = measured(registry.process.pid, once(registry.port, posts(AGENTS), CONNECTIONS))
        assert dict(load.statuses) == {200: AGENTS}


def beat(port: int, process: int) -> Load:
    load = measured(process, for_seconds(port, heads(AGENTS), CONNECTIONS, SECONDS))
    assert set(load.statuses) == {200}, load.statuses
    return load


def main() -> None:
    mine: list[Load] = []
    other: list[Load] = []
    bare: list[Load] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with (
            ours(folder / "ours") as our,
            theirs(folder / "theirs") as their,
            bare_echo() as (echo, process),
        ):
            register(their)
            for _ in range(ROUNDS):
                register(our)  # a busy machine may have let leases end
                mine.append(beat(our.port, our.process.pid))
                other.append(beat(their.port, their.process.pid))
                bare.append(beat(echo, process))
    print(f"quick heartbeats of {AGENTS:,} healthy agents, {CONNECTIONS} connections")
    print(shown("ours", mine))
    print(shown("theirs", other))
    print(shown("bare echo", bare))
    print(ratios("ours and theirs", mine, other, "50"))
    print(ratios("ours and the echo", mine, bare, "0.5"))


if __name__ == "__main__":
    main()
