"""How long it takes to link 1,000 tools: a chain, one capability for all, and nothing found.

python tests/benchmarks/link_mesh.py
"""

import statistics
import time

from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import AgentSpec, MeshSpec, NeedSpec, ToolSpec
from meshd.plan.link import link

ROUNDS = 5
TOOLS = 1_000
SIGNATURE = ToolSignature(
    description="", input_schema={"type": "object"}, output_schema=None, mode=Mode.SYNC
)


def tool(name: str, capability: str | None, needed: str | None, version: str = "1.0.0") -> ToolSpec:
    """Return a tool with at most one capability and one need."""
    needs = (NeedSpec(parameter="p", capability=needed),) if needed else ()
    return ToolSpec(callable="a:b", name=name, capability=capability, version=version, needs=needs)


def spread(tools: list[ToolSpec]) -> MeshSpec:
    """Return a mesh of a hundred agents with the tools."""
    return MeshSpec(
        agents=tuple(AgentSpec(name=f"a{n}", tools=tuple(tools[n::100])) for n in range(100))
    )


def meshes() -> dict[str, MeshSpec]:
    """Return the meshes to link."""
    numbers = range(TOOLS)
    return {
        "a chain": spread([tool(f"t{n}", f"c{n}", f"c{n + 1}") for n in numbers]),
        "one capability for all": spread([tool(f"t{n}", "c", "c", f"1.{n}.0") for n in numbers]),
        "every name misspelled": spread(
            [tool(f"t{n}", f"service.{n}-thing", f"sevice.number-{n}") for n in numbers]
        ),
    }


def main() -> None:
    """Measure and print medians."""
    for name, mesh in meshes().items():
        signatures = {
            (agent.key, each.name): SIGNATURE for agent in mesh.agents for each in agent.tools
        }
        taken: list[float] = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            link(mesh, signatures)
            taken.append(time.perf_counter() - start)
        print(f"{name:24} {statistics.median(taken) * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
