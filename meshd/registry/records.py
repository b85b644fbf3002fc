"""Instances and events as JSON, for stores that write; one shape, read back to equal values."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from meshd.domain.instance import Dependency, Instance, OfferedTool, Status
from meshd.domain.resolve import Want
from meshd.registry.events import Event, EventType
from meshd.registry.store import StoredInstance


def instance_record(stored: StoredInstance) -> bytes:
    """Return an instance as JSON."""
    return orjson.dumps(
        {"instance": stored.instance, "created_at": stored.created_at, "size": stored.size}
    )


def instance_of(record: bytes, last_seen: str) -> StoredInstance:
    """Read an instance; raise ValueError, KeyError or TypeError if it is none."""
    read = orjson.loads(record)
    fields = dict(read["instance"])
    tools = tuple(_tool(tool) for tool in fields.pop("tools"))
    status = Status(fields.pop("status"))
    return StoredInstance(
        instance=Instance(**fields, tools=tools, status=status),
        created_at=datetime.fromisoformat(read["created_at"]),
        last_seen=datetime.fromisoformat(last_seen),
        size=int(read["size"]),
    )


def event_record(event: Event) -> bytes:
    """Return an event as JSON."""
    return orjson.dumps(event)


def event_of(record: bytes) -> Event:
    """Read an event; raise ValueError, KeyError or TypeError if it is none."""
    fields = dict(orjson.loads(record))
    at = datetime.fromisoformat(fields.pop("at"))
    kind = EventType(fields.pop("type"))
    return Event(**fields, type=kind, at=at)


def _tool(fields: Mapping[str, Any]) -> OfferedTool:
    made = dict(fields)
    dependencies = tuple(
        Dependency(want=_want(dependency["want"]), required=dependency["required"])
        for dependency in made.pop("dependencies")
    )
    made["tags"] = tuple(made["tags"])
    return OfferedTool(**made, dependencies=dependencies)


def _want(fields: Mapping[str, Any]) -> Want:
    made = dict(fields)
    tags = tuple(tag if isinstance(tag, str) else tuple(tag) for tag in made.pop("tags"))
    return Want(**made, tags=tags)
