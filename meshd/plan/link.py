"""Binds each need of the mesh to the tools that serve it, or says why it cannot be bound.

In: a valid MeshSpec and the signatures of its loaded callables. Out: the Plan, and diagnostics in
file order. It knows the manifests only: what it predicts is what runs while all agents are up.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshd.diagnostics.model import Diagnostic, Related, Severity, Span, in_file_order
from meshd.domain.call import BUILT_IN, nearest
from meshd.domain.misses import KnownNames, nearest_misses
from meshd.domain.resolve import Match, Provider, Want, resolve
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import AgentSpec, MeshSpec, NeedSpec, ToolSpec
from meshd.plan.model import (
    AgentPlan,
    Binding,
    Eviction,
    Plan,
    ProviderRef,
    ToolPlan,
    binding_id,
)
from meshd.plan.order import cycles

ToolKey = tuple[str, str]
"""An agent's key and the name of one of its tools."""

_MAX_OFFERS = 3
_MAX_STEPS = 12
"""A longer cycle is shown by its beginning."""


def link(
    mesh: MeshSpec, signatures: Mapping[ToolKey, ToolSignature]
) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Link the mesh; a tool without a signature (it did not load) is linked, but not planned."""
    linker = _Linker(mesh)
    bindings = [
        linker.bind(agent, tool, need)
        for agent in mesh.agents
        for tool in agent.tools
        for need in tool.needs
    ]
    plan = Plan(
        mesh=mesh.name,
        project_root=mesh.project_root,
        agents=tuple(
            sorted(
                (agent_plan(agent, signatures) for agent in mesh.agents),
                key=lambda agent: agent.key,
            )
        ),
        bindings=tuple(sorted(bindings, key=lambda binding: binding.id)),
    )
    problems = [
        linker.unresolved(binding) for binding in bindings if binding.status == "unresolved"
    ]
    problems += [problem for binding in bindings for problem in linker.without_effect(binding)]
    return plan, in_file_order([*problems, *_cycle_problems(bindings)])


def agent_graph(plan: Plan) -> dict[str, set[str]]:
    """Return, for each agent's key, the agents that serve its needs best; itself left out."""
    graph: dict[str, set[str]] = {agent.key: set() for agent in plan.agents}
    for binding in plan.bindings:
        if binding.providers and binding.providers[0].agent != binding.consumer:
            graph[binding.consumer].add(binding.providers[0].agent)
    return graph


@dataclass(frozen=True, slots=True)
class _Answer:
    """What every need with the same want shares."""

    providers: tuple[ProviderRef, ...]
    evicted: tuple[Eviction, ...]
    misses: tuple[str, ...]


class _Linker:
    """The providers of a mesh by capability, with what was resolved over them so far."""

    def __init__(self, mesh: MeshSpec) -> None:
        self._offers: dict[str, list[Provider]] = defaultdict(list)
        self._tools: dict[ToolKey, ToolSpec] = {}
        self._answers: dict[Want, _Answer] = {}
        self._alike: dict[str, str | None] = {}
        for agent in mesh.agents:
            for tool in agent.tools:
                self._tools[agent.key, tool.name] = tool
                if tool.capability is not None:
                    self._offers[tool.capability].append(_provider(agent, tool, tool.capability))
        self._names = KnownNames(self._offers)

    def bind(self, agent: AgentSpec, tool: ToolSpec, need: NeedSpec) -> Binding:
        """Bind one need of one tool."""
        want = Want.of(need)
        if want not in self._answers:
            self._answers[want] = self._answer(want)
        answer = self._answers[want]
        levels = [need.call]
        if answer.providers:
            best = answer.providers[0]
            levels.append(self._tools[best.agent, best.tool].call)
        return Binding(
            id=binding_id(agent.key, tool.name, need.parameter),
            consumer=agent.key,
            tool=tool.name,
            parameter=need.parameter,
            need=need,
            providers=answer.providers,
            call=nearest(*levels, BUILT_IN),
            evicted=answer.evicted,
            misses=answer.misses,
        )

    def _answer(self, want: Want) -> _Answer:
        offers = self._offers.get(want.capability, ())
        trace = resolve(offers, want)
        evicted = tuple(
            Eviction(id=evicted.id, stage=stage.name, reason=evicted.reason)
            for stage in trace.stages
            for evicted in stage.evicted
        )
        misses: tuple[str, ...] = ()
        if not trace.matches:
            similar = None if offers else self._similar(want.capability)
            misses = nearest_misses(self._offers.get(similar, ()) if similar else offers, want)
        return _Answer(tuple(map(_reference, trace.matches)), evicted, misses)

    def unresolved(self, binding: Binding) -> Diagnostic:
        """Return the diagnostic of a need that nothing serves."""
        need = binding.need
        capability = f"`{need.capability}`" + (f" `{need.version}`" if need.version else "")
        consumer = f"`{binding.consumer}.{binding.tool}`"
        offered = need.capability in self._offers
        label = "no tool that offers it fits" if offered else "no tool offers this capability"
        similar = None if offered else self._similar(need.capability)
        if need.required:
            code, severity = "M301", Severity.ERROR
            message = f"nothing provides {capability}, which {consumer} requires"
        else:
            code, severity = "M303", Severity.WARNING
            message = (
                f"nothing provides {capability}, so {consumer} receives None as `{need.parameter}`"
            )
        return Diagnostic(
            code=code,
            severity=severity,
            message=message,
            span=need.at("capability"),
            label=label,
            hint=self._hint(binding, similar),
            related=self._offered_at(need.capability if offered else similar),
        )

    def without_effect(self, binding: Binding) -> Iterator[Diagnostic]:
        """Yield what a need says of its calls, and no provider of it allows."""
        call = binding.need.call
        hints = [self._tools[one.agent, one.tool].hints for one in binding.providers]
        if not hints:
            return
        if call.hedge_seconds is not None and not any(one.read_only for one in hints):
            message = f"`{binding.need.capability}` is never asked twice"
            label = "no provider of it says `hints.readOnly`"
            yield _no_effect(message, call.at("hedge_seconds"), label)
        repeated = set(call.retries_on or ()) - {"busy"}
        if repeated and not any(one.read_only or one.idempotent for one in hints):
            message = f"`{binding.need.capability}` is never tried again after it may have run"
            label = "no provider of it says `hints.idempotent`"
            yield _no_effect(message, call.at("retries_on"), label)

    def _hint(self, binding: Binding, similar: str | None) -> str:
        if similar is not None:
            return f"did you mean `{similar}`?"
        if binding.misses:
            return f"the nearest: {'; '.join(binding.misses)}"
        capability = binding.need.capability
        if binding.need.required:
            return f"let a tool offer `{capability}`, or make the need optional"
        return f"let a tool offer `{capability}`, or remove the need"

    def _offered_at(self, capability: str | None) -> tuple[Related, ...]:
        offers = sorted(self._offers.get(capability or "", ()))
        places: list[Related] = []
        for provider in offers[:_MAX_OFFERS]:
            span = self._tools[provider.agent_key, provider.tool].at("capability")
            if span is not None:
                version = f" {provider.version}" if provider.version else ""
                text = f"`{provider.id}` offers `{provider.capability}`{version}"
                places.append(Related(span, text))
        return tuple(places)

    def _similar(self, capability: str) -> str | None:
        if capability not in self._alike:
            self._alike[capability] = self._names.closest(capability)
        return self._alike[capability]


def _no_effect(message: str, span: Span | None, label: str) -> Diagnostic:
    return Diagnostic(
        code="M304",
        severity=Severity.WARNING,
        message=message,
        span=span,
        label=label,
        hint="remove it, or say the hint on the tool if it holds",
    )


def _provider(agent: AgentSpec, tool: ToolSpec, capability: str) -> Provider:
    return Provider(
        agent=agent.name,
        namespace=agent.namespace,
        tool=tool.name,
        capability=capability,
        version=tool.version,
        tags=tool.tags,
    )


def _reference(match: Match) -> ProviderRef:
    provider = match.provider
    return ProviderRef(
        agent=provider.agent_key,
        namespace=provider.namespace,
        tool=provider.tool,
        capability=provider.capability,
        version=provider.version,
        tags=provider.tags,
        score=match.score,
    )


def agent_plan(agent: AgentSpec, signatures: Mapping[ToolKey, ToolSignature]) -> AgentPlan:
    """Return an agent's part of the plan; tools without a signature are left out."""
    return AgentPlan(
        name=agent.name,
        namespace=agent.namespace,
        version=agent.version,
        description=agent.description,
        labels=agent.labels,
        host=agent.host,
        port=agent.port,
        advertise=agent.advertise,
        replicas=agent.replicas,
        process=agent.process,
        env=agent.env,
        heartbeat_seconds=agent.heartbeat_seconds,
        max_request_bytes=agent.max_request_bytes,
        roots=agent.roots,
        lifespan=agent.lifespan,
        objects=agent.objects,
        tools=tuple(
            ToolPlan(spec=tool, signature=signatures[agent.key, tool.name])
            for tool in agent.tools
            if (agent.key, tool.name) in signatures
        ),
        resources=agent.resources,
        prompts=agent.prompts,
    )


def _cycle_problems(bindings: list[Binding]) -> list[Diagnostic]:
    """Return one diagnostic for each knot of required needs, followed along best providers."""
    edges: dict[ToolKey, dict[ToolKey, Binding]] = defaultdict(dict)
    for binding in bindings:
        if binding.need.required and binding.providers:
            best = binding.providers[0]
            edges[binding.consumer, binding.tool].setdefault((best.agent, best.tool), binding)
    return [_cycle_problem(cycle, edges) for cycle in cycles(edges)]


def _cycle_problem(
    cycle: tuple[ToolKey, ...], edges: Mapping[ToolKey, Mapping[ToolKey, Binding]]
) -> Diagnostic:
    steps = [edges[tool][after] for tool, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True)]
    names = [f"{agent}.{tool}" for agent, tool in cycle]
    if len(names) > _MAX_STEPS:
        names = [*names[: _MAX_STEPS - 1], f"{len(names) - _MAX_STEPS} more", names[-1]]
    path = " → ".join([*names, names[0]])
    places = [
        Related(span, f"`{step.consumer}.{step.tool}` requires `{step.need.capability}`")
        for step in steps[:_MAX_STEPS]
        if (span := step.need.at("capability")) is not None
    ]
    return Diagnostic(
        code="M302",
        message=f"required needs form a cycle: `{path}`",
        span=places[0].span if places else None,
        label=places[0].label if places else "",
        hint="make one of these needs optional with `required: false`",
        related=tuple(places[1:]),
    )
