"""FastMCP's client against a running mesh, in each of the ways it can speak."""

from typing import Any, Literal

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp_types import TextContent, TextResourceContents

from tests.e2e.manifests.src.probing import VALUES
from tests.e2e.mesh import Mesh

pytestmark = pytest.mark.e2e
Mode = Literal["auto", "legacy", "2026-07-28"]
MODES: tuple[Mode, ...] = ("auto", "legacy", "2026-07-28")
PROBE_TOOLS = [
    "add",
    "value_of",
    "text_of",
    "slow_echo",
    "pause",
    "fail",
    "leave",
    "leave_async",
    "first_of",
    "count",
    "count_in_a_thread",
    "wait_for_ever",
    "wait_for_ever_in_chunks",
]


def client_of(mesh: Mesh, agent: str, mode: Mode) -> Client[Any]:
    return Client(mesh.mcp(agent), mode=mode)


def texts(content: list[Any]) -> list[str]:
    return [block.text for block in content if isinstance(block, TextContent)]


@pytest.mark.parametrize("mode", MODES)
async def test_the_server_says_who_it_is(probe_mesh: Mesh, mode: Mode) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        if mode == "legacy":
            told = client.initialize_result
            assert told is not None
            assert (told.server_info.name, told.server_info.version) == ("probe", "2.3.4")
            assert told.instructions == "Shows what reaches a client."
        tools = await client.list_tools()

    assert [tool.name for tool in tools] == PROBE_TOOLS


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_is_described_as_its_callable_and_manifest_say(
    probe_mesh: Mesh, mode: Mode
) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        [add] = [tool for tool in await client.list_tools() if tool.name == "add"]

    properties = add.input_schema["properties"]
    assert add.description == "Add two numbers."
    assert add.annotations is not None
    assert add.annotations.read_only_hint is True
    assert {name: schema["type"] for name, schema in properties.items()} == {
        "a": "integer",
        "b": "integer",
    }
    assert add.input_schema["required"] == ["a", "b"]
    assert add.output_schema is not None
    assert add.output_schema["properties"]["result"]["type"] == "integer"


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_is_answered(probe_mesh: Mesh, mode: Mode) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        answer = await client.call_tool("add", {"a": 2, "b": 3})

    assert answer.data == 5
    assert answer.structured_content == {"result": 5}
    assert texts(answer.content) == ["5"]


@pytest.mark.parametrize("mode", MODES)
async def test_values_that_look_alike_stay_apart(probe_mesh: Mesh, mode: Mode) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        answers = {kind: await client.call_tool("value_of", {"kind": kind}) for kind in VALUES}
        text = await client.call_tool("text_of", {"kind": "text"})
        nothing = await client.call_tool("text_of", {"kind": "nothing"})
        empty = await client.call_tool("text_of", {"kind": "empty"})

    received = {kind: answer.structured_content for kind, answer in answers.items()}
    # The representation, so that 1.0 and True are not taken for 1.
    assert {kind: repr(value) for kind, value in received.items()} == {
        kind: repr({"result": value}) for kind, value in VALUES.items()
    }
    assert [text.data, nothing.data, empty.data] == ["123", None, ""]


@pytest.mark.parametrize("mode", MODES)
async def test_resources_and_templates_are_read(probe_mesh: Mesh, mode: Mode) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        resources = await client.list_resources()
        templates = await client.list_resource_templates()
        [motto] = await client.read_resource("probe://motto")
        [square] = await client.read_resource("probe://squares/12")

    assert [str(resource.uri) for resource in resources] == ["probe://motto"]
    assert [template.uri_template for template in templates] == ["probe://squares/{number}"]
    assert isinstance(motto, TextResourceContents)
    assert (motto.text, motto.mime_type) == ("From YAML to a mesh that answers", "text/plain")
    assert isinstance(square, TextResourceContents)
    assert (square.text, square.mime_type) == ('{"square": 144}', "application/json")


@pytest.mark.parametrize("mode", MODES)
async def test_prompts_are_made(probe_mesh: Mesh, mode: Mode) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        prompts = await client.list_prompts()
        made = await client.get_prompt("ask_about", {"topic": "tides"})

    [prompt] = prompts
    assert prompt.name == "ask_about"
    assert [argument.name for argument in prompt.arguments or []] == ["topic"]
    [message] = made.messages
    assert isinstance(message.content, TextContent)
    assert message.content.text == "What do you know about tides?"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tool", ["add_three", "add_three_in_a_thread"])
async def test_a_need_is_served_by_the_other_agent(probe_mesh: Mesh, tool: str, mode: Mode) -> None:
    async with client_of(probe_mesh, "caller", mode) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        answer = await client.call_tool(tool, {"a": 1, "b": 2, "c": 3})
        with pytest.raises(ToolError, match="add"):
            await client.call_tool(tool, {"a": 1, "b": 2, "c": 3, "add": "me"})

    assert list(tools[tool].input_schema["properties"]) == ["a", "b", "c"]
    assert answer.data == 6


WRONG_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("no_such_tool", {}, "no_such_tool"),
    ("add", {"a": 1}, "b"),
    ("add", {"a": 1, "b": "two"}, "b"),
    ("add", {"a": 1, "b": 2, "c": 3}, "c"),
    ("fail", {"reason": "the moon is full"}, "the moon is full"),
    ("leave", {"status": 3}, "SystemExit"),
    ("leave_async", {"status": 3}, "SystemExit"),
    ("first_of", {"items": []}, "StopIteration"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("tool", "arguments", "named"), WRONG_CALLS)
async def test_an_error_names_what_is_wrong(
    probe_mesh: Mesh, mode: Mode, tool: str, arguments: dict[str, Any], named: str
) -> None:
    async with client_of(probe_mesh, "probe", mode) as client:
        with pytest.raises(ToolError) as raised:
            await client.call_tool(tool, arguments)
        assert (await client.call_tool("add", {"a": 1, "b": 1})).data == 2

    message = str(raised.value)
    assert named in message
    assert "Traceback" not in message
    assert "site-packages" not in message
