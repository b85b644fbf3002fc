"""`meshd call`: find the agent through the daemon, then call it directly over MCP."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from meshd.cli.output import fail, say, show, show_json
from meshd.cli.standing import rows
from meshd.cli.target import BadRequest, require_tool, split_target
from meshd.cli.values import seconds
from meshd.daemon.client import AdminClient
from meshd.domain.names import agent_key
from meshd.domain.spec import JsonValue
from meshd.errors import CallError, CallTimedOut, ConnectionLost, Unavailable
from meshd.runtime.client import McpClient


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
    mesh = admin.mesh()
    endpoint = ready_endpoint(mesh, agent)
    # First, because an agent that starts has no tools yet.
    if endpoint is None and agent in agents_of(mesh):
        raise BadRequest(f"agent `{agent}` is not ready{_why(admin, agent)}")
    require_running(mesh, agent, tool)
    assert endpoint is not None  # noqa: S101  (the agent is there, and ready)
    found = admin.tool(agent, tool) or {}
    arguments = read_arguments(request, found.get("inputSchema", {}))
    try:
        value = asyncio.run(_call(endpoint, request.tool, arguments, timeout_seconds))
    except _OutOfTime:
        fail(f"`{request.tool}` did not answer within {request.timeout}")
        return 3
    except CallError as error:
        fail(failure_text(request.tool, error))
        return 3 if isinstance(error, CallTimedOut) else 1
    if style == "json":
        show_json(value)
    else:
        show(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
    return 0


async def _call(
    endpoint: str, target: str, arguments: dict[str, JsonValue], timeout_seconds: float
) -> JsonValue:
    _, tool = split_target(target)
    limit = asyncio.timeout(timeout_seconds)
    try:
        async with limit, McpClient() as client:
            return await client.call(endpoint, tool, arguments, provider=target, on_progress=say)
    except TimeoutError as error:
        # A timeout that the tool met with, and answers, is no timeout of this call.
        if isinstance(error, CallError) or not limit.expired():
            raise
        raise _OutOfTime from None


class _OutOfTime(Exception):
    """No answer came within the time that the user gave."""


def failure_text(tool: str, error: CallError) -> str:
    """Return what an error says of the tool; those of the way to it stand for themselves.

    An error of the same kind that the tool itself met with names what the tool called.
    """
    is_of_the_way = type(error) in {CallError, ConnectionLost, Unavailable}
    is_of_the_way = is_of_the_way and error.provider == tool
    return str(error) if is_of_the_way else f"`{tool}` failed: {error}"


def require_running(mesh: dict[str, Any], agent: str, tool: str) -> None:
    """Raise an error that says what comes nearest, unless there is such a tool."""
    tools = {
        agent_key(each["name"], each["namespace"]): [known["name"] for known in each["tools"]]
        for each in mesh["agents"]
    }
    require_tool(tools, agent, tool, where="runs here")


def agents_of(mesh: dict[str, Any]) -> set[str]:
    """Return the keys of the agents."""
    return {agent_key(each["name"], each["namespace"]) for each in mesh["agents"]}


def ready_endpoint(mesh: dict[str, Any], agent: str) -> str | None:
    """Return the endpoint of the agent's first instance that is ready, or None."""
    return next(
        (
            instance["endpoint"]
            for each in mesh["agents"]
            if agent_key(each["name"], each["namespace"]) == agent
            for instance in each["instances"]
            if instance["status"] == "ready"
        ),
        None,
    )


def _why(admin: AdminClient, agent: str) -> str:
    """Return how each instance of an agent fares instead."""
    found = [row for row in rows(admin.status()) if row.agent == agent]
    told = (
        f"{f'`{row.instance}`' if row.instance else 'it'} is {row.status}"
        + (f" ({row.why})" if row.why else "")
        for row in found
    )
    return "".join(f"; {text}" for text in told)


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
