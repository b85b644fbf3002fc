"""What an instance tells the registry and learns from it: MCP Mesh's JSON, and plain values.

The answer comes from outside, so nothing of its shape is trusted: what is not understood raises
`MalformedAnswer`, and the wiring stays as it is.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from meshd.domain.spec import JsonValue, NeedSpec
from meshd.errors import MalformedAnswer
from meshd.plan.model import AgentPlan, ToolPlan
from meshd.runtime.kwargs import Terms, kwargs_of, terms_of

MAX_DESCRIPTION = 256
_USABLE = frozenset({"available", "healthy"})
_TEXTS = ("agent_id", "endpoint", "function_name", "status", "agent")

Slot = tuple[str, str]
"""A need: the tool that has it, and the parameter that receives the proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRef:
    """A provider as the registry names it; `agent` is the key of its agent, as well as it is known.

    `kwargs` are how it asks to be called, `rank` says how well it serves the need: 0 is
    the best, and those of one rank serve it equally well.
    """

    instance: str
    agent: str
    endpoint: str
    tool: str
    kwargs: Mapping[str, JsonValue]
    rank: int = 0

    @property
    def terms(self) -> Terms:
        """What the `kwargs` say that meshd knows."""
        return terms_of(self.kwargs)


Wiring = Mapping[Slot, tuple[UpstreamRef, ...]]
"""By need, all providers that the registry knows of, best first; none means that it has none."""


@dataclass(frozen=True, slots=True)
class EdgeState:
    """A need and its providers now; waiting means that the registry has not spoken yet."""

    tool: str
    parameter: str
    capability: str
    status: Literal["resolved", "unresolved", "waiting"]
    providers: tuple[UpstreamRef, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a full heartbeat is answered with; `is_meshd` says which kind of registry spoke.

    `was_forgotten` says that the registry had not known the instance any more.
    """

    wiring: Wiring
    digest: str
    is_meshd: bool
    was_forgotten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which instance speaks, which start of it, and where others reach it."""

    instance: str
    incarnation: int
    endpoint: str
    interval_seconds: float


def registration(agent: AgentPlan, identity: Identity, *, draining: bool = False) -> dict[str, Any]:
    """Return the body of a full heartbeat."""
    address = urlsplit(identity.endpoint)
    host = address.hostname or ""
    return {
        "agent_id": identity.instance,
        "name": agent.name,
        "agent_type": "mcp_agent",
        "version": agent.version,
        "description": agent.description.strip()[:MAX_DESCRIPTION],
        "http_host": f"[{host}]" if ":" in host else host,
        "http_port": address.port or (443 if address.scheme == "https" else 80),
        "namespace": agent.namespace,
        "status": "healthy",
        "runtime": "python",
        # One that neither offers nor needs anything is nobody's business but its clients'.
        "tools": [
            _tool(tool, agent) for tool in agent.tools if tool.spec.capability or tool.spec.needs
        ],
        "meshd": {
            "incarnation": identity.incarnation,
            "interval_seconds": identity.interval_seconds,
            "draining": draining,
        },
    }


def read_answer(agent: AgentPlan, body: JsonValue) -> Answer:
    """Read what the registry answered to an agent's registration.

    Raises:
        MalformedAnswer: it is not of the form that the protocol says.

    """
    fields = _mapping(body, "the answer")
    own = fields.get("meshd")
    if own is not None:
        listed = _mapping(_mapping(own, "meshd").get("upstreams"), "upstreams")
    else:
        best = _mapping(_or(fields, "dependencies_resolved", {}), "dependencies_resolved")
        listed = {
            tool: [[entry] for entry in _list(entries, tool)] for tool, entries in best.items()
        }
    wiring: dict[Slot, tuple[UpstreamRef, ...]] = {}
    for tool in agent.tools:
        slots = _list(_or(listed, tool.spec.name, []), tool.spec.name)
        for index, need in enumerate(tool.spec.needs):
            # Positions that are missing at the end are needs that nothing serves.
            entries = _list(slots[index], tool.spec.name) if index < len(slots) else []
            found = (_upstream(entry) for entry in entries)
            usable = tuple(one for one in found if one is not None)
            wiring[tool.spec.name, need.parameter] = usable
    return Answer(wiring, digest_of(wiring), own is not None)


def digest_of(wiring: Wiring) -> str:
    """Return a digest that is equal for equal wirings."""
    state = [
        [
            *slot,
            [
                [one.instance, one.agent, one.endpoint, one.tool, one.kwargs, one.rank]
                for one in upstreams
            ],
        ]
        for slot, upstreams in sorted(wiring.items())
    ]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _tool(tool: ToolPlan, agent: AgentPlan) -> dict[str, Any]:
    spec, signature = tool.spec, tool.signature
    return {
        "function_name": spec.name,
        "capability": spec.capability or "",
        "version": spec.version,
        "tags": list(spec.tags),
        "description": spec.description or signature.description,
        "dependencies": [_dependency(need, agent) for need in spec.needs],
        "inputSchema": dict(signature.input_schema),
        **({"outputSchema": dict(signature.output_schema)} if signature.output_schema else {}),
        "kwargs": kwargs_of(spec.call, spec.hints),
    }


def _dependency(need: NeedSpec, agent: AgentPlan) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "capability": need.capability,
        "tags": [list(tag) if isinstance(tag, tuple) else tag for tag in need.tags],
        "required": need.required,
    }
    if need.version:
        fields["version"] = need.version
    if need.namespace != agent.namespace:
        fields["namespace"] = need.namespace
    return fields


def _upstream(entry: JsonValue) -> UpstreamRef | None:
    """Read a provider; None is a hole."""
    fields = _mapping(entry, "an upstream")
    texts = {name: fields.get(name) or "" for name in _TEXTS}
    if not all(isinstance(text, str) for text in texts.values()):
        raise MalformedAnswer(f"one of {', '.join(_TEXTS)} of an upstream is no string")
    is_usable = texts["status"] in _USABLE and texts["agent_id"] and texts["function_name"]
    if not is_usable or not texts["endpoint"].startswith(("http://", "https://")):
        return None
    return UpstreamRef(
        instance=texts["agent_id"],
        agent=texts["agent"] or texts["agent_id"].rpartition("-")[0] or texts["agent_id"],
        endpoint=texts["endpoint"].rstrip("/"),
        tool=texts["function_name"],
        kwargs=_mapping(_or(fields, "kwargs", {}), "kwargs"),
        rank=rank if isinstance(rank := fields.get("rank"), int) else 0,
    )


def _or(fields: Mapping[str, Any], name: str, otherwise: JsonValue) -> JsonValue:
    """Return a field, or what stands for its absence; null is absent."""
    value = fields.get(name)
    return otherwise if value is None else value


def _mapping(value: JsonValue, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedAnswer(f"{what} is no object")
    return cast("dict[str, Any]", value)


def _list(value: JsonValue, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedAnswer(f"what it says of `{what}` is no list")
    return cast("list[Any]", value)
