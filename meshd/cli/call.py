"""`meshd call`: find the agent through the daemon, then call it directly over MCP."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2

from meshd.cli.output import fail, say, show, show_json
from meshd.cli.target import BadRequest, require_tool, split_target
from meshd.cli.values import seconds
from meshd.daemon.client import AdminClient
from meshd.domain.names import agent_key
from meshd.domain.spec import JsonValue
from meshd.errors import CallTimedOut, ToolFailed
from meshd.runtime.client import call_tool


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed."""

    tool: str
    pairs: tuple[str, ...]
    json_text: str
    timeout: str


def call(request: Request, state_directory: Path, style: str) -> int:
    """Call the tool; print its value alone, or the error."""
    timeout_seconds = seconds(request.timeout, "--timeout")
    admin = AdminClient(state_directory)
    agent, tool = split_target(request.tool)
    endpoint = find_endpoint(admin.mesh(), agent, tool)
    found = admin.tool(agent, tool) or {}
    arguments = read_arguments(request, found.get("inputSchema", {}))
    try:
        value = asyncio.run(_call(endpoint, tool, arguments, timeout_seconds))
    except CallTimedOut:
        fail(f"`{request.tool}` did not answer within {request.timeout}")
        return 3
    except ToolFailed as error:
        fail(f"`{request.tool}` failed: {error}")
        return 1
    if style == "json":
        show_json(value)
    else:
        show(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
    return 0


async def _call(
    endpoint: str, tool: str, arguments: dict[str, JsonValue], timeout_seconds: float
) -> JsonValue:
    timeout = httpx2.Timeout(timeout_seconds)
    # The endpoint is on this machine, so proxies of the environment are of no use.
    async with httpx2.AsyncClient(timeout=timeout, trust_env=False) as http:
        return await call_tool(http, endpoint, tool, arguments, on_progress=say)


def find_endpoint(mesh: dict[str, Any], agent: str, tool: str) -> str:
    """Return the endpoint of the agent's first instance, or say what comes nearest."""
    agents = {agent_key(entry["name"], entry["namespace"]): entry for entry in mesh["agents"]}
    tools = {key: [known["name"] for known in entry["tools"]] for key, entry in agents.items()}
    require_tool(tools, agent, tool, where="runs here")
    return agents[agent]["instances"][0]["endpoint"]


def read_arguments(request: Request, schema: dict[str, Any]) -> dict[str, JsonValue]:
    """Return the arguments; `key=value` is read as JSON unless the tool's schema wants a string."""
    arguments: dict[str, JsonValue] = {}
    if request.json_text:
        try:
            given: object = json.loads(request.json_text)
        except ValueError as error:
            raise BadRequest(f"`--json` is not JSON: {error}") from None
        if not isinstance(given, dict):
            raise BadRequest('`--json` must be an object, such as \'{"city": "Oslo"}\'')
        arguments.update(cast("dict[str, JsonValue]", given))
    properties = schema.get("properties", {})
    for pair in request.pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise BadRequest(f"`{pair}` is not an argument: write `key=value`")
        arguments[key] = read_value(text, properties.get(key, {}))
    return arguments


def read_value(text: str, schema: dict[str, Any]) -> JsonValue:
    """Read one value: as it is where the schema wants a string, else as JSON if it is JSON."""
    if schema.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
