"""The effective settings of a tool, each with the place that set it; a default has no place.

Names are those of the manifest, with dots between; a setting that nothing set and that has no
default is left out. Which provider serves a need, and so what its calls inherit, is the plan's:
who has one gives the effective calls.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from meshd.diagnostics.model import Span
from meshd.domain.call import BUILT_IN, nearest
from meshd.domain.spec import (
    DEFAULT_MAX_REQUEST_BYTES,
    AgentSpec,
    CallSettings,
    Hints,
    JsonValue,
    MeshSpec,
    NeedSpec,
    ParameterSpec,
    ResultSpec,
    SecretSpec,
    ToolSpec,
)

NO_CALLS: Mapping[str, CallSettings] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value; `origin` is None for a default."""

    name: str
    value: JsonValue
    origin: Span | None


def explain_tool(
    mesh: MeshSpec, agent: str, tool: str, calls: Mapping[str, CallSettings] = NO_CALLS
) -> tuple[Setting, ...]:
    """Return the settings of a tool of the agent `name` or `namespace/name`.

    `calls` are the effective settings of its needs' calls, by parameter.

    Raises:
        LookupError: there is no such agent or tool.

    """
    for spec in mesh.agents:
        if spec.key == agent:
            for offered in spec.tools:
                if offered.name == tool:
                    return (
                        *_mesh(mesh),
                        *_agent(spec, mesh.project_root),
                        *_tool(offered, calls, mesh.project_root),
                    )
    raise LookupError(f"{agent}.{tool}")


def _mesh(mesh: MeshSpec) -> Iterator[Setting]:
    if mesh.registry_url:
        yield Setting("mesh.registry.url", mesh.registry_url, mesh.origins.get("registry_url"))


def _agent(agent: AgentSpec, project_root: str) -> Iterator[Setting]:
    path = [_inside(root, project_root) for root in agent.roots]
    yield Setting("agent.version", agent.version, agent.origins.get("version"))
    yield Setting("agent.namespace", agent.namespace, agent.origins.get("namespace"))
    yield Setting("agent.python.path", path, agent.origins.get("roots"))
    yield Setting("agent.http.host", agent.host, agent.origins.get("host"))
    yield Setting("agent.http.port", agent.port, agent.origins.get("port"))
    if agent.max_request_bytes != DEFAULT_MAX_REQUEST_BYTES:
        origin = agent.origins.get("max_request_bytes")
        yield Setting("agent.http.maxRequest", f"{agent.max_request_bytes}B", origin)
    if agent.advertise:
        yield Setting("agent.http.advertise", agent.advertise, agent.origins.get("advertise"))
    yield Setting("agent.replicas", agent.replicas, agent.origins.get("replicas"))
    if agent.process is not None:
        yield Setting("agent.process", agent.process, agent.origins.get("process"))
    for name, value in agent.env.items():
        shown = value if isinstance(value, str) else _secret(value, project_root)
        yield Setting(f"agent.env.{name}", shown, agent.origins.get(f"env.{name}"))
    interval = _duration(agent.heartbeat_seconds)
    origin = agent.origins.get("heartbeat_seconds")
    yield Setting("agent.heartbeat.interval", interval, origin)


def _secret(secret: SecretSpec, project_root: str) -> JsonValue:
    """Return where the secret is found, never the secret."""
    if secret.env is not None:
        return {"env": secret.env}
    return {"file": _inside(secret.file or "", project_root)}


def _inside(path: str, project_root: str) -> str:
    """Return a path relative to the project, so that all machines show the same."""
    if path == project_root:
        return "."
    return path.removeprefix(f"{project_root}/") if project_root else path


def _tool(
    tool: ToolSpec, calls: Mapping[str, CallSettings], project_root: str
) -> Iterator[Setting]:
    origins = tool.origins
    yield Setting("callable", tool.callable, origins.get("callable"))
    yield Setting("name", tool.name, origins.get("name"))
    if tool.capability is not None:
        yield Setting("capability", tool.capability, origins.get("capability"))
    yield Setting("version", tool.version, origins.get("version"))
    yield Setting("tags", list(tool.tags), origins.get("tags"))
    if tool.description is not None:
        yield Setting("description", tool.description, origins.get("description"))
    yield from _hints(tool.hints)
    for parameter in tool.parameters:
        yield from _parameter(parameter, f"parameters.{parameter.name}")
    yield from _result(tool.result)
    yield from _execution(tool)
    yield from _call(nearest(tool.call, BUILT_IN), "call", project_root)
    for need in tool.needs:
        call = calls.get(need.parameter, need.call)
        yield from _need(need, call, f"needs.{need.parameter}", project_root)


def _execution(tool: ToolSpec) -> Iterator[Setting]:
    origins = tool.origins
    if tool.execution is not None:
        yield Setting("execution", tool.execution, origins.get("execution"))
    if tool.concurrency_max is not None:
        yield Setting("concurrency.max", tool.concurrency_max, origins.get("concurrency_max"))
        queue = tool.concurrency_queue
        yield Setting("concurrency.queue", queue, origins.get("concurrency_queue"))


def _hints(hints: Hints) -> Iterator[Setting]:
    said = {
        "title": ("title", hints.title),
        "readOnly": ("read_only", hints.read_only),
        "destructive": ("destructive", hints.destructive),
        "idempotent": ("idempotent", hints.idempotent),
        "openWorld": ("open_world", hints.open_world),
    }
    for key, (name, value) in said.items():
        if value is not None:
            yield Setting(f"hints.{key}", value, hints.origins.get(name))


def _parameter(parameter: ParameterSpec, prefix: str) -> Iterator[Setting]:
    said: dict[str, JsonValue] = {
        "schema": parameter.schema,
        "type": parameter.type,
        "description": parameter.description,
        "hide": parameter.hide or None,
        "rename": parameter.rename,
    }
    for key, value in said.items():
        if value is not None:
            yield Setting(f"{prefix}.{key}", value, parameter.origins.get(key))
    if parameter.has_default:
        default = parameter.origins.get("default")
        yield Setting(f"{prefix}.default", parameter.default, default)


def _result(result: ResultSpec) -> Iterator[Setting]:
    said: dict[str, JsonValue] = {
        "type": result.type,
        "schema": result.schema,
        "select": result.select,
    }
    for key, value in said.items():
        if value is not None:
            yield Setting(f"result.{key}", value, result.origins.get(key))


def _need(need: NeedSpec, call: CallSettings, prefix: str, project_root: str) -> Iterator[Setting]:
    origins = need.origins
    tags = [list(tag) if isinstance(tag, tuple) else tag for tag in need.tags]
    yield Setting(f"{prefix}.capability", need.capability, origins.get("capability"))
    yield Setting(f"{prefix}.namespace", need.namespace, origins.get("namespace"))
    yield Setting(f"{prefix}.version", need.version, origins.get("version"))
    yield Setting(f"{prefix}.tags", tags, origins.get("tags"))
    yield Setting(f"{prefix}.required", need.required, origins.get("required"))
    if need.expects is not None:
        yield Setting(f"{prefix}.expects", need.expects, origins.get("expects"))
    yield from _call(call, f"{prefix}.call", project_root)


def _call(call: CallSettings, prefix: str, project_root: str) -> Iterator[Setting]:
    origins = call.origins
    for key, (name, show) in _CALL.items():
        value = getattr(call, name)
        if value is not None:
            yield Setting(f"{prefix}.{key}", show(value), origins.get(name))
    if call.auth is not None:
        yield Setting(
            f"{prefix}.auth.bearer", _secret(call.auth, project_root), origins.get("auth")
        )


def _plain(value: JsonValue) -> JsonValue:
    return value


def _duration(seconds: float) -> str:
    """Return a time as a manifest says it; what is supplied later stays as it is written."""
    return seconds if isinstance(seconds, str) else f"{seconds:g}s"


def _share(share: float) -> str:
    return share if isinstance(share, str) else f"{share * 100:g}%"


_CALL: Mapping[str, tuple[str, Callable[[Any], JsonValue]]] = {
    "timeout": ("timeout_seconds", _duration),
    "retries.max": ("retries_max", _plain),
    "retries.on": ("retries_on", list),
    "retries.timeout": ("retries_timeout_seconds", _duration),
    "retries.backoff": ("retries_backoff_seconds", _duration),
    "retries.budget": ("retries_budget", _share),
    "breaker.failures": ("breaker_failures", _plain),
    "breaker.open": ("breaker_open_seconds", _duration),
    "balance": ("balance", _plain),
    "concurrency": ("concurrency", _plain),
    "hedge": ("hedge_seconds", _duration),
    "streaming": ("streaming", _plain),
    "headers": ("headers", dict),
    "propagate": ("propagate", list),
}
"""Keys of the manifest, with the fields of the settings and how a value is shown."""
