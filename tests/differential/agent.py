"""The one agent that is asked: every callable of `src/odd_tools.py`, loaded as any agent's are."""

from dataclasses import replace
from pathlib import Path

from meshd.callables.agent import load_agent
from meshd.callables.allow import ImportPolicy
from meshd.callables.dump import dump
from meshd.callables.load import Loader
from meshd.clock import SystemClock
from meshd.daemon.wiring import parts_of, plan_of
from meshd.domain.spec import (
    DEFAULT_MAX_REQUEST_BYTES,
    AgentSpec,
    CallSettings,
    Hints,
    NeedSpec,
    ParameterSpec,
    ResultSpec,
    ToolSpec,
)
from meshd.runtime.agent import RunningAgent
from meshd.runtime.edge import Edge
from meshd.runtime.workers import Workers
from tests.runtime.fakes import binding

SOURCE = Path(__file__).parent / "src"
MODULE = "odd_tools"
LOCKED = "locked"
TOKEN = "a-Token.of~some+length/="  # noqa: S105

PLAIN = (
    "add",
    "add_in_a_thread",
    "multiply",
    "negate",
    "shout",
    "bounded",
    "paint",
    "pick",
    "either",
    "number_or_nothing",
    "total",
    "merged",
    "pairs",
    "unique",
    "order",
    "order_or_point",
    "move",
    "film",
    "aliased",
    "when",
    "words",
    "nothing",
    "untyped",
    "echo",
    "anything",
    "numbers",
    "variadic",
    "by_position",
    "underscored",
    "unannotated_result",
    "arguments",
    "traced",
    "ticks",
    "lines",
    "chunks",
    "breaking",
    "with_context",
    "content",
    "headers",
    "path_in_a_thread",
    "result",
    "result_of_a_thread",
    "objects",
    "raises",
    "raises_in_a_thread",
    "raises_from",
)


def tool(function: str, name: str = "", **more: object) -> ToolSpec:
    fields = {"callable": f"{MODULE}:{function}", "name": name or function, **more}
    return ToolSpec(**fields)  # pyright: ignore[reportArgumentType]


TOOLS = (
    *(tool(function) for function in PLAIN),
    tool(
        "renamed",
        parameters=(
            ParameterSpec(name="python_name", rename="given-name"),
            ParameterSpec(name="hidden", hide=True),
            ParameterSpec(name="other", has_default=True, default="from the manifest"),
        ),
    ),
    tool("result_of_a_thread", "inline", execution="inline"),
    tool("lines", "inline_lines", execution="inline"),
    tool("needing", needs=(NeedSpec(parameter="other", capability="nobody.has"),)),
    tool("needing", "needy", needs=(NeedSpec(parameter="other", capability="x", required=True),)),
    tool(
        "annotated",
        parameters=(
            ParameterSpec(name="a", schema={"type": "integer", "x-mcp-header": "A"}),
            ParameterSpec(name="b", schema={"type": "string", "x-mcp-header": "Region"}),
        ),
    ),
    tool("circumstances", call=CallSettings(propagate=("x-tenant", "cookie"))),
    tool("circumstances_of_a_thread"),
    tool("circumstances_of_chunks"),
    tool("order", "selected", result=ResultSpec(select="items")),
    tool("echo", "typed", result=ResultSpec(type="int")),
    tool(
        "echo",
        "by_schema",
        parameters=(ParameterSpec(name="value", schema={"type": "integer", "minimum": 0}),),
    ),
    tool("add", "hinted", capability="sum", hints=Hints(title="Adds", read_only=True)),
    tool("add", "dotted.name-of_a.tool"),
)
SLOW = (
    *(
        tool(one)
        for one in (
            "slow",
            "slow_ticks",
            "slow_result",
            "slow_raises",
            "slow_chunks",
            "endless",
            "endless_ticks",
        )
    ),
    tool("slow", "one_at_a_time", concurrency_max=1, concurrency_queue=1),
)
"""These are not called by chance."""


def odd_agent(
    workers: Workers, *, locked: bool = False, max_bytes: int = DEFAULT_MAX_REQUEST_BYTES
) -> RunningAgent:
    """Load the callables and make the agent; nothing is served yet.

    `locked` adds a tool that demands a token, for which every request is looked at.
    """
    tools = (*TOOLS, *SLOW, *((tool("add", LOCKED),) if locked else ()))
    spec = AgentSpec(
        name="odd",
        version="2.1.0",
        roots=(str(SOURCE),),
        tools=tools,
        max_request_bytes=max_bytes,
    )
    loaded, diagnostics = load_agent(spec, Loader(ImportPolicy(spec.roots)))
    assert loaded is not None, diagnostics
    parts = replace(parts_of(loaded), tokens={LOCKED: TOKEN} if locked else {})
    edges = {
        (name, "other"): Edge(binding(required=required), None, dump, SystemClock())
        for name, required in (("needing", False), ("needy", True))
    }
    return RunningAgent(plan_of(loaded), "odd-1", parts, edges, workers)
