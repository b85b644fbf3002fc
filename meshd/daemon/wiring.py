"""Builds the objects of a running agent: its plan, its parts, and its edges without upstreams."""

from collections.abc import Mapping
from types import MappingProxyType

from meshd.callables.agent import LoadedAgent
from meshd.callables.dump import dump
from meshd.callables.project import Project
from meshd.clock import Clock
from meshd.daemon.tool_link import starter
from meshd.domain.tokens import NO_TOKENS, Tokens
from meshd.plan.link import agent_plan
from meshd.plan.model import AgentPlan, Binding, binding_id
from meshd.runtime.agent import Parts
from meshd.runtime.edge import Edge
from meshd.runtime.offer import Offer
from meshd.runtime.tool_processes import USUAL_NUMBER, ToolProcesses

NO_PROCESSES: Mapping[str, ToolProcesses] = MappingProxyType({})


def plan_of(loaded: LoadedAgent) -> AgentPlan:
    """Return the agent's part of the plan: what its process needs to know to serve it."""
    spec = loaded.spec
    signatures = {(spec.key, name): tool.signature for name, tool in loaded.tools.items()}
    return agent_plan(spec, signatures)


def edges_of(
    loaded: LoadedAgent, tokens: Tokens, clock: Clock, settle_seconds: float
) -> dict[tuple[str, str], Edge]:
    """Return the edges of an agent by tool and parameter; the registry says who serves them."""
    spec = loaded.spec
    return {
        (tool.name, need.parameter): Edge(
            Binding(
                id=binding_id(spec.key, tool.name, need.parameter),
                consumer=spec.key,
                tool=tool.name,
                parameter=need.parameter,
                need=need,
                call=need.call,
            ),
            loaded.tools[tool.name].expected.get(need.parameter),
            dump,
            clock,
            settle_seconds=settle_seconds,
            token_for=tokens.for_need(tool.name, need.parameter),
        )
        for tool in spec.tools
        for need in tool.needs
    }


def tool_processes_of(
    loaded: LoadedAgent, project: Project, clock: Clock
) -> dict[str, ToolProcesses]:
    """Return the processes of the tools that have some, none of which runs yet."""
    spec = loaded.spec
    return {
        tool.name: ToolProcesses(
            f"{spec.key}.{tool.name}",
            tool.concurrency_max or USUAL_NUMBER,
            starter(spec, tool.name, project, clock),
            is_generator=loaded.tools[tool.name].signature.mode.is_generator,
            clock=clock,
        )
        for tool in spec.tools
        if tool.execution == "process"
    }


def parts_of(
    loaded: LoadedAgent,
    processes: Mapping[str, ToolProcesses] = NO_PROCESSES,
    tokens: Tokens = NO_TOKENS,
) -> Parts:
    """Return what the loader made, in the form that the runtime serves."""
    spec = loaded.spec
    return Parts(
        bodies=loaded.tools,
        remotes=processes,
        resources=tuple(
            Offer(
                body=loaded.resources[resource.uri],
                name=resource.name,
                uri=resource.uri,
                mime_type=resource.mime_type,
            )
            for resource in spec.resources
        ),
        prompts=tuple(
            Offer(body=loaded.prompts[prompt.name], name=prompt.name) for prompt in spec.prompts
        ),
        lifespan=loaded.lifespan,
        tokens=tokens.demanded,
    )
