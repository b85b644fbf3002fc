"""Small meshes for tests of the linker, with the places where their parts would stand."""

from meshd.diagnostics.model import Span
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import AgentSpec, CallSettings, MeshSpec, NeedSpec, ToolSpec

SIGNATURE = ToolSignature(
    description="", input_schema={"type": "object"}, output_schema=None, mode=Mode.SYNC
)


def at(line: int) -> Span:
    return Span("mesh.yaml", line, 9, 20)


def need(
    parameter: str,
    capability: str,
    line: int = 1,
    *,
    required: bool = True,
    version: str = "",
    tags: tuple[str, ...] = (),
    namespace: str = "default",
    timeout: float | None = None,
) -> NeedSpec:
    return NeedSpec(
        parameter=parameter,
        capability=capability,
        required=required,
        version=version,
        tags=tags,
        namespace=namespace,
        call=CallSettings(timeout_seconds=timeout),
        origins={"capability": at(line)},
    )


def tool(
    name: str,
    *needs: NeedSpec,
    capability: str | None = None,
    version: str = "1.0.0",
    tags: tuple[str, ...] = (),
    timeout: float | None = None,
    line: int = 100,
) -> ToolSpec:
    return ToolSpec(
        callable=f"m:{name}",
        name=name,
        capability=capability,
        version=version,
        tags=tags,
        needs=needs,
        call=CallSettings(timeout_seconds=timeout),
        origins={"capability": at(line)},
    )


def agent(name: str, *tools: ToolSpec, namespace: str = "default") -> AgentSpec:
    return AgentSpec(name=name, namespace=namespace, tools=tools)


def mesh(*agents: AgentSpec) -> MeshSpec:
    return MeshSpec(name="trip", project_root="/project", agents=agents)


def signatures(spec: MeshSpec) -> dict[tuple[str, str], ToolSignature]:
    return {(a.key, t.name): SIGNATURE for a in spec.agents for t in a.tools}
