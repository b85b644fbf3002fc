"""Reads the body of a full heartbeat: JSON in MCP Mesh's form, from anybody, so never trusted.

Comes out: an instance, with warnings; or `MalformedRegistration` for what cannot be read or is too
large, and `RegistrationRefused` for what can be read and may not be. Unknown fields are ignored, as
MCP Mesh's own registry does. meshd's instances add one object, `meshd`, which others leave out.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import cast

import orjson

from meshd.domain.instance import Dependency, Instance, OfferedTool, Status
from meshd.domain.lease import LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS
from meshd.domain.names import DEFAULT_NAMESPACE
from meshd.domain.resolve import Want
from meshd.errors import RegistrationRefused
from meshd.registry.fields import (
    Json,
    as_text,
    entries,
    flag,
    json_object,
    malformed,
    raw_text,
    require_shallow,
    text,
    texts,
    whole,
)

MAX_BODY_BYTES = 1_048_576
MAX_TOOLS = 1_000
MAX_DEPENDENCIES = 500
"""In one registration; each comes back with its provider's kwargs, so this bounds the answer."""
MAX_KWARGS_BYTES = 32_768
MAX_TAGS = 100
MAX_DESCRIPTION = 256

_MAX_ID = 253
_MAX_LABEL = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,253}\Z")
_LLM = ("llm_filter", "llm_provider")
_AGENT_TYPES = ("mcp_agent", "api", "a2a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A full heartbeat that was understood; without tools it only renews the lease."""

    instance: Instance
    has_tools: bool = True
    size: int = 0
    digest: bytes = b""
    warnings: tuple[str, ...] = ()


def digest_of(body: bytes) -> bytes:
    """Return what tells bodies apart; two with the same digest say the same."""
    return hashlib.sha256(body).digest()


def read_registration(body: bytes, digest: bytes | None = None) -> Registration:
    """Read the body of `POST /heartbeat`; `digest` is its digest, if that is known already."""
    if len(body) > MAX_BODY_BYTES:
        malformed(f"the registration is larger than {MAX_BODY_BYTES} bytes")
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        malformed(f"the body is not JSON: {error}")
    if not isinstance(read, dict):
        malformed("the body is not a JSON object")
    fields = cast("Json", read)
    require_shallow(fields)
    warnings: list[str] = []
    identity = text(fields, "agent_id")
    if not identity:
        malformed("`agent_id` is missing")
    agent = text(fields, "name") or identity
    namespace = text(fields, "namespace") or DEFAULT_NAMESPACE
    _require_label(identity, "agent_id", _MAX_ID)
    _require_label(agent, "name", _MAX_LABEL)
    _require_label(namespace, "namespace", _MAX_LABEL)
    own = json_object(fields, "meshd")
    tools = _tools(fields, namespace, warnings, nameless=own is not None)
    kind = text(fields, "agent_type") or "mcp_agent"
    if kind not in _AGENT_TYPES:
        malformed(f"`agent_type` is one of {', '.join(_AGENT_TYPES)}")
    instance = Instance(
        id=identity,
        agent=agent,
        namespace=namespace,
        endpoint=_endpoint(fields, identity),
        tools=tools,
        incarnation=whole(own or {}, "incarnation", 2**63),
        status=Status.DRAINING if own and flag(own, "draining") else Status.HEALTHY,
        agent_type=kind,
        runtime=text(fields, "runtime") or "python",
        version=text(fields, "version") or "1.0.0",
        description=_description(fields, warnings),
        a2a_producer=flag(fields, "a2a_producer"),
        a2a_consumer=flag(fields, "a2a_consumer"),
        lists_upstreams=own is not None,
        interval_seconds=_interval(own or {}),
    )
    return Registration(
        instance=instance,
        has_tools=fields.get("tools") is not None,
        size=len(body),
        digest=digest or digest_of(body),
        warnings=tuple(warnings),
    )


def _tools(
    fields: Json, namespace: str, warnings: list[str], *, nameless: bool
) -> tuple[OfferedTool, ...]:
    """Read the tools; those without a name are skipped, and without a capability most are too."""
    listed = entries(fields, "tools", MAX_TOOLS)
    tools: dict[str, OfferedTool] = {}
    dependencies = 0
    for index, entry in enumerate(listed):
        where = f"tools[{index}]"
        if not isinstance(entry, dict):
            malformed(f"`{where}` is not an object")
        tool = _tool(cast("Json", entry), where, namespace, warnings)
        if not tool.name or not (tool.capability or nameless):
            continue
        if tool.name in tools:
            malformed(f"two tools have the `function_name` {tool.name!r}")
        dependencies += len(tool.dependencies)
        if dependencies > MAX_DEPENDENCIES:
            malformed(f"there are more than {MAX_DEPENDENCIES} dependencies")
        tools[tool.name] = tool
    return tuple(tools.values())


def _tool(fields: Json, where: str, namespace: str, warnings: list[str]) -> OfferedTool:
    name = text(fields, "function_name", where)
    kwargs = json_object(fields, "kwargs", where) or {}
    if kwargs and len(orjson.dumps(kwargs)) > MAX_KWARGS_BYTES:
        malformed(f"`{where}.kwargs` is larger than {MAX_KWARGS_BYTES} bytes")
    llm = {
        key: found
        for key in _LLM
        if key in fields and (found := json_object(fields, key, where)) is not None
    }
    if llm:
        warnings.append(f"`{name}`: this registry resolves no LLM tools and providers")
    listed = entries(fields, "dependencies", MAX_DEPENDENCIES, where)
    return OfferedTool(
        name=name,
        capability=text(fields, "capability", where),
        version=text(fields, "version", where) or "1.0.0",
        tags=texts(fields, "tags", MAX_TAGS, where),
        description=raw_text(fields, "description", where),
        dependencies=tuple(
            _dependency(entry, f"{where}.dependencies[{index}]", namespace, name, warnings)
            for index, entry in enumerate(listed)
        )
        if listed
        else (),
        kwargs=kwargs,
        input_schema=json_object(fields, "inputSchema", where),
        output_schema=json_object(fields, "outputSchema", where),
        llm=llm,
    )


def _dependency(
    entry: object, where: str, namespace: str, tool: str, warnings: list[str]
) -> Dependency:
    if not isinstance(entry, dict):
        malformed(f"`{where}` is not an object")
    fields = cast("Json", entry)
    capability = text(fields, "capability", where)
    if not capability:
        malformed(f"`{where}.capability` is missing")
    if text(fields, "matchMode", where):
        warnings.append(f"`{tool}` needs `{capability}`: this registry does not match schemas")
    tags = tuple(_tag(tag, f"{where}.tags") for tag in entries(fields, "tags", MAX_TAGS, where))
    want = Want(
        capability=capability,
        # Who names no namespace means its own.
        namespace=text(fields, "namespace", where) or namespace,
        version=text(fields, "version", where),
        tags=tags,
    )
    return Dependency(want=want, required=flag(fields, "required", where))


def _tag(entry: object, where: str) -> str | tuple[str, ...]:
    if not isinstance(entry, list):
        return as_text(entry, where)
    members = cast("list[object]", entry)
    if len(members) > MAX_TAGS:
        malformed(f"`{where}` has a group of more than {MAX_TAGS}")
    return tuple(as_text(member, where) for member in members)


def _endpoint(fields: Json, identity: str) -> str:
    host = text(fields, "http_host")
    port = whole(fields, "http_port", 65_535)
    if not host or not port:
        return f"stdio://{identity}"
    if _HOST.match(host) is None:
        malformed("`http_host` is not a host")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}"


def _interval(own: Json) -> float | None:
    value = own.get("interval_seconds")
    if value is None:
        return None
    shortest, longest = SHORTEST_INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not shortest <= value <= longest:
        limits = f"from {shortest:.0f} to {longest:.0f}"
        malformed(f"`meshd.interval_seconds` is not a number {limits}")
    return float(value)


def _description(fields: Json, warnings: list[str]) -> str:
    text = raw_text(fields, "description").strip()
    if len(text) > MAX_DESCRIPTION:
        warnings.append(f"description truncated from {len(text)} to {MAX_DESCRIPTION} chars")
    return text[:MAX_DESCRIPTION]


def _require_label(text: str, field: str, limit: int) -> None:
    if len(text) > limit:
        raise RegistrationRefused(f"`{field}` may have {limit} characters, it has {len(text)}")
    if _LABEL.match(text) is None:
        rule = "use lowercase letters, digits and `-`, with a letter or digit at both ends"
        raise RegistrationRefused(f"`{field}` is {text!r}: {rule}")
