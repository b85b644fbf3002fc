"""What is read from a registration, and what is refused with which reason."""

from typing import Any

import orjson
import pytest

from meshd.domain.instance import Dependency, Instance, OfferedTool
from meshd.domain.resolve import Want
from meshd.errors import MalformedRegistration, RegistrationRefused
from meshd.registry.registration import (
    MAX_BODY_BYTES,
    Registration,
    digest_of,
    read_registration,
)
from tests.registry.meshes import Json, body, needs, read, tool


def test_the_least_that_can_be_said_gets_defaults() -> None:
    assert read({"agent_id": "a-1"}) == Registration(
        instance=Instance(id="a-1", agent="a-1", endpoint="stdio://a-1"),
        has_tools=False,
        size=18,
        digest=digest_of(b'{"agent_id":"a-1"}'),
    )


def test_all_of_a_registration_is_read_and_unknown_fields_are_ignored() -> None:
    fields = {
        "agent_id": "a-1a2b3c4d",
        "name": "a",
        "agent_type": "api",
        "version": "2.0.0",
        "description": "  text ",
        "http_host": "fd00::7",
        "http_port": 9000,
        "namespace": "prod",
        "status": "healthy",
        "runtime": "typescript",
        "llm_agents": [{"any": "thing"}],
        "surfaces": None,
        "a2a_producer": True,
        "tools": [
            {
                "function_name": "__mesh_job_status",
                "capability": "__mesh_job_status",
                "kwargs": {"framework_internal": True},
            },
            {
                "function_name": "f",
                "capability": "c",
                "version": "1.2.3",
                "tags": ["x"],
                "description": "line\nline",
                "inputSchema": {"type": "object"},
                "outputSchema": {"type": "string"},
                "dependencies": [
                    {"capability": "d", "required": True, "tags": ["a", ["b", "+c"]]},
                    {"capability": "e", "version": ">=1", "namespace": "other"},
                ],
            },
            {"function_name": "no_capability"},
            {"capability": "no_function"},
        ],
    }

    assert read(fields).instance == Instance(
        id="a-1a2b3c4d",
        agent="a",
        namespace="prod",
        endpoint="http://[fd00::7]:9000",
        agent_type="api",
        runtime="typescript",
        version="2.0.0",
        description="text",
        a2a_producer=True,
        tools=(
            OfferedTool(
                name="__mesh_job_status",
                capability="__mesh_job_status",
                kwargs={"framework_internal": True},
            ),
            OfferedTool(
                name="f",
                capability="c",
                version="1.2.3",
                tags=("x",),
                description="line\nline",
                input_schema={"type": "object"},
                output_schema={"type": "string"},
                dependencies=(
                    Dependency(
                        want=Want(capability="d", namespace="prod", tags=("a", ("b", "+c"))),
                        required=True,
                    ),
                    Dependency(want=Want(capability="e", namespace="other", version=">=1")),
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("own", "seconds"),
    [
        ({}, None),
        ({"interval_seconds": None}, None),
        ({"interval_seconds": 1}, 1.0),
        ({"interval_seconds": 2.5}, 2.5),
        ({"interval_seconds": 3600}, 3600.0),
    ],
)
def test_an_instance_of_meshd_may_say_how_often_it_beats(own: Json, seconds: float | None) -> None:
    assert read({"agent_id": "a-1", "meshd": own}).instance.interval_seconds == seconds


@pytest.mark.parametrize("said", ["0", "0.99", "-5", "3600.1", "1e99", "true", '"5"', "[5]", "{}"])
def test_an_interval_that_cannot_be_is_refused(said: str) -> None:
    with pytest.raises(MalformedRegistration) as caught:
        read_registration(f'{{"agent_id":"a-1","meshd":{{"interval_seconds":{said}}}}}'.encode())

    assert str(caught.value) == "`meshd.interval_seconds` is not a number from 1 to 3600"


@pytest.mark.parametrize("length", [256, 257, 300])
def test_a_long_description_is_cut_by_characters_after_it_is_stripped(length: int) -> None:
    registration = read({"agent_id": "a-1", "description": f" {'é' * length}\n"})

    cut = f"description truncated from {length} to 256 chars"
    assert len(registration.instance.description) == 256
    assert registration.warnings == ((cut,) if length > 256 else ())


def test_what_is_not_supported_is_said() -> None:
    asking = tool("c", needs("d", matchMode="strict"), llm_filter={"filter": ["x"]}, name="f")

    assert read(body("a-1", asking)).warnings == (
        "`f`: this registry resolves no LLM tools and providers",
        "`f` needs `d`: this registry does not match schemas",
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"agent_id": "My_Agent"}, "`agent_id` is 'My_Agent': use lowercase letters"),
        ({"agent_id": "a" * 254}, "`agent_id` may have 253 characters, it has 254"),
        ({"agent_id": "a-"}, "`agent_id` is 'a-'"),
        ({"agent_id": "a/b"}, "`agent_id` is 'a/b'"),
        ({"agent_id": "a", "name": "b" * 64}, "`name` may have 63 characters, it has 64"),
        ({"agent_id": "a", "namespace": "A"}, "`namespace` is 'A'"),
    ],
)
def test_a_name_that_may_not_be_is_refused(fields: Json, reason: str) -> None:
    with pytest.raises(RegistrationRefused) as caught:
        read(fields)

    assert reason in str(caught.value)
    assert not isinstance(caught.value, MalformedRegistration)


def a(**more: Any) -> bytes:
    return orjson.dumps({"agent_id": "a-1", **more})


def a_tool(**more: Any) -> bytes:
    return a(tools=[{"function_name": "f", "capability": "c", **more}])


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"agent_id": "\xff"}', "the body is not JSON"),
        (b'{"agent_id": NaN}', "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"{}", "`agent_id` is missing"),
        (b'{"agent_id": 1}', "`agent_id` is not a string"),
        (b'{"agent_id": null}', "`agent_id` is missing"),
        (a(x=nested(65)), "the body is nested deeper than 64"),
        (a(tools={}), "`tools` is not a list"),
        (a(tools=["x"]), "`tools[0]` is not an object"),
        (a(tools=[{}] * 1001), "`tools` has more than 1000 entries"),
        (a(http_port=70000), "`http_port` is not a whole number from 0 to 65535"),
        (a(http_port=-1), "`http_port` is not a whole number"),
        (a(http_port=True), "`http_port` is not a whole number"),
        (a(http_port=1.5), "`http_port` is not a whole number"),
        (a(http_host="x/y", http_port=1), "`http_host` is not a host"),
        (a(agent_type="robot"), "`agent_type` is one of mcp_agent, api, a2a"),
        (a(version="1\n2"), "`version` has characters that cannot be shown"),
        (a(runtime="x" * 257), "`runtime` has more than 256 characters"),
        (a(a2a_producer="yes"), "`a2a_producer` is not true or false"),
        (a(meshd=[]), "`meshd` is not an object"),
        (a(meshd={"incarnation": "1"}), "`incarnation` is not a whole number"),
        (a_tool(tags="x"), "`tools[0].tags` is not a list"),
        (a_tool(tags=[1]), "`tools[0].tags` is not a string"),
        (a_tool(tags=["x"] * 101), "`tools[0].tags` has more than 100 entries"),
        (a_tool(kwargs=[]), "`tools[0].kwargs` is not an object"),
        (a_tool(kwargs={"x": "y" * 33_000}), "`tools[0].kwargs` is larger than 32768 bytes"),
        (a_tool(inputSchema="x"), "`tools[0].inputSchema` is not an object"),
        (a_tool(dependencies=["x"]), "`tools[0].dependencies[0]` is not an object"),
        (a_tool(dependencies=[{}]), "`tools[0].dependencies[0].capability` is missing"),
        (
            a_tool(dependencies=[{"capability": "d", "tags": [["x"] * 101]}]),
            "`tools[0].dependencies[0].tags` has a group of more than 100",
        ),
        (
            a_tool(dependencies=[{"capability": "d", "required": 1}]),
            "`tools[0].dependencies[0].required` is not true or false",
        ),
        (
            a(tools=[tool("c", name="f"), tool("d", name="f")]),
            "two tools have the `function_name` 'f'",
        ),
        (
            a(tools=[tool(f"c{i}", *[needs("d")] * 300) for i in range(2)]),
            "there are more than 500 dependencies",
        ),
        (b" " * (MAX_BODY_BYTES + 1), "the registration is larger than 1048576 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(sent: bytes, reason: str) -> None:
    with pytest.raises(MalformedRegistration) as caught:
        read_registration(sent)

    assert reason in str(caught.value)
