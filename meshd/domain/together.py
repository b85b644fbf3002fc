"""What agents of one mesh may not say together: one port, or two things of a shared process.

In: agents with the places of their values. Out: diagnostics with both places. No value of an
environment variable is shown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address

from meshd.diagnostics.model import Diagnostic, Related, Span
from meshd.diagnostics.text import shortened
from meshd.domain.spec import AgentSpec, SecretSpec

IsOpen = Callable[[object], bool]
"""Whether a value is not known yet, so that no rule may speak of it."""

_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104  (compared with, not bound)
_SOME_IPV4, _SOME_IPV6 = "one of IPv4", "one of IPv6"


def _nothing_is_open(_value: object) -> bool:
    return False


def together_problems(
    agents: Iterable[AgentSpec], is_open: IsOpen = _nothing_is_open
) -> Iterator[Diagnostic]:
    """Yield an error for each agent that contradicts an earlier one."""
    processes: dict[str, list[AgentSpec]] = defaultdict(list)
    taken: dict[tuple[int, str], AgentSpec] = {}
    for agent in agents:
        if agent.port and not is_open(agent.port) and not is_open(agent.host):
            yield from _port_problem(agent, taken)
        if agent.process is not None and not is_open(agent.process):
            processes[agent.process].append(agent)
    for members in processes.values():
        yield from _replica_problems(members, is_open)
        yield from _variable_problems(members, is_open)


def _port_problem(
    agent: AgentSpec, taken: dict[tuple[int, str], AgentSpec]
) -> Iterator[Diagnostic]:
    """Yield an error if an earlier agent has the port on this host, or on all hosts."""
    claims, conflicts = _claims(agent.host)
    other = next((one for c in conflicts if (one := taken.get((agent.port, c)))), None)
    for claim in claims:
        taken.setdefault((agent.port, claim), agent)
    if other is not None:
        said = (
            "first here"
            if other.host == agent.host
            else f"first here, on `{shortened(other.host)}`"
        )
        span = other.at("port")
        yield Diagnostic(
            code="M206",
            message=f"two agents listen on `{_shown(agent.host)}:{agent.port}`",
            span=agent.at("port"),
            hint="use another port, or 0 for any free one",
            related=(Related(span, said),) if span else (),
        )


def _claims(host: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what listening on a host takes, and what must not be taken for it.

    A wildcard takes every address of its family; that of IPv6 takes those of IPv4 as well.
    """
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return (host, _SOME_IPV4), (host, _ANY_IPV4, _ANY_IPV6)
    text = str(address)
    if text == _ANY_IPV4:
        return (text,), (_ANY_IPV4, _ANY_IPV6, _SOME_IPV4)
    if text == _ANY_IPV6:
        return (text,), (_ANY_IPV4, _ANY_IPV6, _SOME_IPV4, _SOME_IPV6)
    if address.version == 4:
        return (text, _SOME_IPV4), (text, _ANY_IPV4, _ANY_IPV6)
    return (text, _SOME_IPV6), (text, _ANY_IPV6)


def _replica_problems(members: list[AgentSpec], is_open: IsOpen) -> Iterator[Diagnostic]:
    known = [agent for agent in members if not is_open(agent.replicas)]
    for agent in known[1:]:
        if agent.replicas != known[0].replicas:
            yield Diagnostic(
                code="M230",
                message=f"{_sharing(known[0], agent)} have different numbers of replicas",
                span=_replicas_at(agent),
                label=_count(agent),
                hint="say the same `replicas` for both, or another `process` for one",
                related=_related(_replicas_at(known[0]), _count(known[0])),
            )


def _variable_problems(members: list[AgentSpec], is_open: IsOpen) -> Iterator[Diagnostic]:
    first: dict[str, AgentSpec] = {}
    for agent in members:
        for name, value in agent.env.items():
            if is_open(value) or (isinstance(value, SecretSpec) and _is_any_open(value, is_open)):
                continue
            other = first.setdefault(name, agent)
            if other.env[name] != value:
                yield Diagnostic(
                    code="M231",
                    message=f"{_sharing(other, agent)} set `{name}` differently",
                    span=agent.at(f"env.{name}"),
                    hint="let both say the same, or say another `process` for one",
                    related=_related(other.at(f"env.{name}"), "first here"),
                )


def _is_any_open(secret: SecretSpec, is_open: IsOpen) -> bool:
    return is_open(secret.env) or is_open(secret.file)


def _sharing(first: AgentSpec, second: AgentSpec) -> str:
    return f"agents `{first.key}` and `{second.key}` share process `{first.process}`, but"


def _replicas_at(agent: AgentSpec) -> Span | None:
    return agent.origins.get("replicas") or agent.at("process")


def _count(agent: AgentSpec) -> str:
    by_default = "" if "replicas" in agent.origins else " by default"
    return f"`{agent.key}` has {agent.replicas}{by_default}"


def _related(span: Span | None, label: str) -> tuple[Related, ...]:
    return () if span is None else (Related(span, label),)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else shortened(host)
