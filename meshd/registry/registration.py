"""Reads the body of a full heartbeat: JSON in MCP Mesh's form, from anybody, so never trusted.

Comes out: an instance, with warnings; or `MalformedRegistration` for what cannot be read or is too
large, and `RegistrationRefused` for what can be read and may not be. Unknown fields are ignored, as
MCP Mesh's own registry does. meshd's instances add one object, `meshd`, which others leave out.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

import orjson

from meshd.domain.instance import Dependency, Instance, OfferedTool, Status
from meshd.domain.lease import LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS
from meshd.domain.names import DEFAULT_NAMESPACE
from meshd.domain.resolve import Want
from meshd.errors import MalformedRegistration, RegistrationRefused

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 64
MAX_TOOLS = 1_000
MAX_DEPENDENCIES = 500
"""In one registration; each comes back with its provider's kwargs, so this bounds the answer."""
MAX_KWARGS_BYTES = 32_768
MAX_TAGS = 100
MAX_TEXT = 256
MAX_DESCRIPTION = 256

_MAX_ID = 253
_MAX_LABEL = 63
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,253}\Z")
_AGENT_TYPES = ("mcp_agent", "api", "a2a")

T = TypeVar("T")
Json = Mapping[str, Any]


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


def read_registration(body: bytes) -> Registration:
    """Read the body of `POST /heartbeat`."""
    if len(body) > MAX_BODY_BYTES:
        _malformed(f"the registration is larger than {MAX_BODY_BYTES} bytes")
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _malformed(f"the body is not JSON: {error}")
    if not isinstance(read, dict):
        _malformed("the body is not a JSON object")
    fields = cast("Json", read)
    _require_shallow(fields)
    warnings: list[str] = []
    identity = _text(fields, "agent_id")
    if not identity:
        _malformed("`agent_id` is missing")
    agent = _text(fields, "name") or identity
    namespace = _text(fields, "namespace") or DEFAULT_NAMESPACE
    _require_label(identity, "agent_id", _MAX_ID)
    _require_label(agent, "name", _MAX_LABEL)
    _require_label(namespace, "namespace", _MAX_LABEL)
    own = _object(fields, "meshd")
    tools = _tools(fields, namespace, warnings, nameless=own is not None)
    kind = _text(fields, "agent_type") or "mcp_agent"
    if kind not in _AGENT_TYPES:
        _malformed(f"`agent_type` is one of {', '.join(_AGENT_TYPES)}")
    instance = Instance(
        id=identity,
        agent=agent,
        namespace=namespace,
        endpoint=_endpoint(fields, identity),
        tools=tools,
        incarnation=_whole(own or {}, "incarnation", 2**63),
        status=Status.DRAINING if own and _flag(own, "draining") else Status.HEALTHY,
        agent_type=kind,
        runtime=_text(fields, "runtime") or "python",
        version=_text(fields, "version") or "1.0.0",
        description=_description(fields, warnings),
        a2a_producer=_flag(fields, "a2a_producer"),
        a2a_consumer=_flag(fields, "a2a_consumer"),
        lists_upstreams=own is not None,
        interval_seconds=_interval(own or {}),
    )
    return Registration(
        instance=instance,
        has_tools=fields.get("tools") is not None,
        size=len(body),
        digest=digest_of(body),
        warnings=tuple(warnings),
    )


def _tools(
    fields: Json, namespace: str, warnings: list[str], *, nameless: bool
) -> tuple[OfferedTool, ...]:
    """Read the tools; those without a name are skipped, and without a capability most are too."""
    listed = _list(fields, "tools", MAX_TOOLS)
    tools: dict[str, OfferedTool] = {}
    dependencies = 0
    for index, entry in enumerate(listed):
        where = f"tools[{index}]"
        if not isinstance(entry, dict):
            _malformed(f"`{where}` is not an object")
        tool = _tool(cast("Json", entry), where, namespace, warnings)
        if not tool.name or not (tool.capability or nameless):
            continue
        if tool.name in tools:
            _malformed(f"two tools have the `function_name` {tool.name!r}")
        dependencies += len(tool.dependencies)
        if dependencies > MAX_DEPENDENCIES:
            _malformed(f"there are more than {MAX_DEPENDENCIES} dependencies")
        tools[tool.name] = tool
    return tuple(tools.values())


def _tool(fields: Json, where: str, namespace: str, warnings: list[str]) -> OfferedTool:
    name = _text(fields, "function_name", where)
    kwargs = _object(fields, "kwargs", where) or {}
    if len(orjson.dumps(kwargs)) > MAX_KWARGS_BYTES:
        _malformed(f"`{where}.kwargs` is larger than {MAX_KWARGS_BYTES} bytes")
    llm = {
        key: found
        for key in ("llm_filter", "llm_provider")
        if (found := _object(fields, key, where)) is not None
    }
    if llm:
        warnings.append(f"`{name}`: this registry resolves no LLM tools and providers")
    listed = _list(fields, "dependencies", MAX_DEPENDENCIES, where)
    return OfferedTool(
        name=name,
        capability=_text(fields, "capability", where),
        version=_text(fields, "version", where) or "1.0.0",
        tags=tuple(
            _as_text(tag, f"{where}.tags") for tag in _list(fields, "tags", MAX_TAGS, where)
        ),
        description=_raw_text(fields, "description", where),
        dependencies=tuple(
            _dependency(entry, f"{where}.dependencies[{index}]", namespace, name, warnings)
            for index, entry in enumerate(listed)
        ),
        kwargs=kwargs,
        input_schema=_object(fields, "inputSchema", where),
        output_schema=_object(fields, "outputSchema", where),
        llm=llm,
    )


def _dependency(
    entry: object, where: str, namespace: str, tool: str, warnings: list[str]
) -> Dependency:
    if not isinstance(entry, dict):
        _malformed(f"`{where}` is not an object")
    fields = cast("Json", entry)
    capability = _text(fields, "capability", where)
    if not capability:
        _malformed(f"`{where}.capability` is missing")
    if _text(fields, "matchMode", where):
        warnings.append(f"`{tool}` needs `{capability}`: this registry does not match schemas")
    tags = tuple(_tag(tag, f"{where}.tags") for tag in _list(fields, "tags", MAX_TAGS, where))
    want = Want(
        capability=capability,
        # Who names no namespace means its own.
        namespace=_text(fields, "namespace", where) or namespace,
        version=_text(fields, "version", where),
        tags=tags,
    )
    return Dependency(want=want, required=_flag(fields, "required", where))


def _tag(entry: object, where: str) -> str | tuple[str, ...]:
    if not isinstance(entry, list):
        return _as_text(entry, where)
    members = cast("list[object]", entry)
    if len(members) > MAX_TAGS:
        _malformed(f"`{where}` has a group of more than {MAX_TAGS}")
    return tuple(_as_text(member, where) for member in members)


def _endpoint(fields: Json, identity: str) -> str:
    host = _text(fields, "http_host")
    port = _whole(fields, "http_port", 65_535)
    if not host or not port:
        return f"stdio://{identity}"
    if _HOST.match(host) is None:
        _malformed("`http_host` is not a host")
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
        _malformed(f"`meshd.interval_seconds` is not a number {limits}")
    return float(value)


def _description(fields: Json, warnings: list[str]) -> str:
    text = _raw_text(fields, "description").strip()
    if len(text) > MAX_DESCRIPTION:
        warnings.append(f"description truncated from {len(text)} to {MAX_DESCRIPTION} chars")
    return text[:MAX_DESCRIPTION]


def _require_label(text: str, field: str, limit: int) -> None:
    if len(text) > limit:
        raise RegistrationRefused(f"`{field}` may have {limit} characters, it has {len(text)}")
    if _LABEL.match(text) is None:
        rule = "use lowercase letters, digits and `-`, with a letter or digit at both ends"
        raise RegistrationRefused(f"`{field}` is {text!r}: {rule}")


def _require_shallow(value: object) -> None:
    """Refuse what is nested so deep that it could not be written again."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for each in level:
            if isinstance(each, dict):
                deeper.extend(cast("dict[str, object]", each).values())
            elif isinstance(each, list):
                deeper.extend(cast("list[object]", each))
        if not deeper:
            return
        level = deeper
    _malformed(f"the body is nested deeper than {MAX_DEPTH}")


def _text(fields: Json, name: str, where: str = "") -> str:
    """Read a short text on one line; null and absent are empty."""
    value = fields.get(name)
    return "" if value is None else _as_text(value, _path(name, where))


def _as_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        _malformed(f"`{where}` is not a string")
    if len(value) > MAX_TEXT:
        _malformed(f"`{where}` has more than {MAX_TEXT} characters")
    if not value.isprintable():
        _malformed(f"`{where}` has characters that cannot be shown")
    return value


def _raw_text(fields: Json, name: str, where: str = "") -> str:
    return _typed(fields, name, where, str) or ""


def _flag(fields: Json, name: str, where: str = "") -> bool:
    return bool(_typed(fields, name, where, bool))


def _object(fields: Json, name: str, where: str = "") -> Json | None:
    return cast("Json | None", _typed(fields, name, where, dict))


def _list(fields: Json, name: str, limit: int, where: str = "") -> list[object]:
    found = cast("list[object]", _typed(fields, name, where, list) or [])
    if len(found) > limit:
        _malformed(f"`{_path(name, where)}` has more than {limit} entries")
    return found


def _whole(fields: Json, name: str, limit: int) -> int:
    value = _typed(fields, name, "", int)
    if value is not None and (isinstance(value, bool) or not 0 <= value <= limit):
        _malformed(f"`{name}` is not a whole number from 0 to {limit}")
    return value or 0


def _typed(fields: Json, name: str, where: str, kind: type[T]) -> T | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        _malformed(f"`{_path(name, where)}` is not {_KINDS[kind]}")
    return value


_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    int: "a whole number",
}


def _path(name: str, where: str) -> str:
    return f"{where}.{name}" if where else name


def _malformed(reason: str) -> NoReturn:
    raise MalformedRegistration(reason)
