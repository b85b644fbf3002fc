"""What the registry answers, in the shapes of MCP Mesh's registry API.

Every entry of a resolution has its five strings, resolved or not, because MCP Mesh's agents refuse
the whole answer without them; and every dependency keeps its place. meshd's own instances get one
object more, `meshd`, with all upstreams.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from meshd.domain.instance import Dependency, Instance, OfferedTool, Status
from meshd.domain.spec import JsonValue
from meshd.domain.tags import DEFAULT_POLICY, tag_points
from meshd.registry.events import Event, EventType
from meshd.registry.offer import Upstream
from meshd.registry.offers import Offers
from meshd.registry.registered import Record, Registered
from meshd.registry.wiring import Resolved, Wiring

Json = dict[str, JsonValue]

WIRE_EVENTS: Mapping[EventType, str] = {
    EventType.RECOVERED: "register",
    EventType.RESOLVED: "dependency_resolved",
    EventType.UNRESOLVED: "dependency_unresolved",
}
"""Events that MCP Mesh calls by another name."""


def timestamp(at: datetime) -> str:
    """Return a time in RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def registered(answer: Registered, at: datetime) -> Json:
    """Return the answer to a full heartbeat."""
    instance = answer.instance
    what = "registered" if answer.is_new else "updated"
    body: Json = {
        "status": "success",
        "timestamp": timestamp(at),
        "message": f"Agent {what} via heartbeat",
        "agent_id": instance.id,
        "dependencies_resolved": {
            tool: [_best(entry) for entry in entries] for tool, entries in answer.wiring.items()
        },
        "llm_tools": {tool.name: [] for tool in instance.tools if "llm_filter" in tool.llm},
        "llm_providers": {},
    }
    if answer.warnings:
        body["warnings"] = list(answer.warnings)
    if instance.lists_upstreams:
        body["meshd"] = {
            "revision": answer.revision,
            "incarnation": instance.incarnation,
            "interval_seconds": answer.interval_seconds,
            "upstreams": {
                tool: [_ranked(entry) for entry in entries]
                for tool, entries in answer.wiring.items()
            },
        }
    return body


def rejected(reason: str, instance: str, at: datetime) -> Json:
    """Return the answer to a registration that was understood and not taken."""
    return {
        "status": "error",
        "timestamp": timestamp(at),
        "message": reason,
        "agent_id": instance,
    }


def error(reason: str, at: datetime) -> Json:
    """Return the body of every other refusal."""
    return {"error": reason, "timestamp": timestamp(at)}


def upstream_entry(upstream: Upstream) -> Json:
    """Return a provider that can be called."""
    entry: Json = {
        "agent_id": upstream.instance,
        "capability": upstream.capability,
        "endpoint": upstream.endpoint,
        "function_name": upstream.tool,
        "status": "available",
    }
    if upstream.kwargs:
        entry["kwargs"] = upstream.kwargs
    return entry


def _ranked(entry: Resolved) -> list[Json]:
    """Return the providers as meshd's own instances learn of them: each with its agent and rank.

    Those of one rank serve the need equally well, by their tags and their version; 0 is the best.
    """
    listed: list[Json] = []
    rank, worth = 0, None
    for upstream in entry.upstreams:
        points = tag_points(upstream.tags, entry.dependency.want.tags, DEFAULT_POLICY)
        its_worth = (points, upstream.version)
        if worth is not None and its_worth != worth:
            rank += 1
        worth = its_worth
        listed.append({**upstream_entry(upstream), "agent": upstream.agent, "rank": rank})
    return listed


def _best(entry: Resolved) -> Json:
    if entry.chosen is not None:
        return upstream_entry(entry.chosen)
    return {
        "agent_id": "",
        "capability": entry.dependency.want.capability,
        "endpoint": "",
        "function_name": "",
        "status": "unresolved",
    }


def agent_entry(record: Record, wiring: Wiring, offers: Offers) -> Json:
    """Return an instance as `GET /agents` lists it."""
    instance = record.instance
    entries = [(tool, entry) for tool in instance.tools for entry in wiring.get(tool.name, ())]
    listed: Json = {
        "id": instance.id,
        "name": instance.agent,
        "agent_type": instance.agent_type,
        "runtime": instance.runtime,
        "version": instance.version,
        "description": instance.description,
        "namespace": instance.namespace,
        "a2a_producer": instance.a2a_producer,
        "a2a_consumer": instance.a2a_consumer,
        "status": instance.status,
        "endpoint": instance.endpoint,
        "created_at": timestamp(record.created_at),
        "last_seen": timestamp(record.last_seen),
        "total_dependencies": len(entries),
        "dependencies_resolved": sum(_is_resolved(instance, entry) for _, entry in entries),
        "capabilities": [
            _capability(instance, tool, offers) for tool in instance.tools if tool.capability
        ],
        "dependency_resolutions": [_resolution(instance, tool, entry) for tool, entry in entries],
        "llm_tool_resolutions": [],
        "llm_provider_resolutions": [],
    }
    if instance.lists_upstreams:
        lease = record.lease
        listed["meshd"] = {"incarnation": lease.incarnation, "lease_seconds": lease.seconds}
    return listed


def event_entry(event: Event) -> Json:
    """Return an event as `GET /events` lists it."""
    entry: Json = {
        "event_type": WIRE_EVENTS.get(event.type, event.type),
        "agent_id": event.instance,
        "agent_name": event.agent,
        "timestamp": timestamp(event.at),
        "data": {"reason": event.reason, **event.details},
    }
    if event.tool:
        entry["function_name"] = event.tool
    return entry


def _capability(instance: Instance, tool: OfferedTool, offers: Offers) -> Json:
    offer = offers.get(instance.id, tool.name)
    entry: Json = {
        "name": tool.capability,
        "version": tool.version,
        "function_name": tool.name,
        "tags": list(tool.tags),
        "description": tool.description,
        **tool.llm,
        "available": offer.is_available,
    }
    if offer.reason:
        entry["unavailable_reason"] = offer.reason
    return entry


def _is_resolved(instance: Instance, entry: Resolved) -> bool:
    return instance.status is not Status.UNHEALTHY and entry.chosen is not None


def _resolution(instance: Instance, tool: OfferedTool, entry: Resolved) -> Json:
    want = entry.dependency.want
    shown: Json = {"function_name": tool.name, "capability": want.capability}
    if want.tags:
        shown["tags"] = _tags(entry.dependency)
    if entry.chosen is None:
        return {**shown, "status": "unresolved"}
    return {
        **shown,
        "mcp_tool": entry.chosen.tool,
        "provider_agent_id": entry.chosen.instance,
        "endpoint": entry.chosen.endpoint,
        "status": "available" if _is_resolved(instance, entry) else "unavailable",
    }


def _tags(dependency: Dependency) -> list[Any]:
    return [list(tag) if isinstance(tag, tuple) else tag for tag in dependency.want.tags]
