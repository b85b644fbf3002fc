"""Who sends which bearer token to whom.

A tool with `call.auth` demands its token. A need with `call.auth` sends its own to whichever
provider demands one. Otherwise a consumer sends the token of a provider of the same mesh to that
provider and to nobody else; the reviewed manifests say that it needs it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from meshd.domain.spec import AgentSpec, SecretSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of one agent, which nobody else may see.

    `demanded` are by tool, `sent` by tool and parameter of a need, `providers` by `agent.tool`.
    `otherwise` is sent where a provider demands a token that no manifest names; empty: none.
    """

    demanded: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    sent: Mapping[tuple[str, str], str] = field(
        default_factory=dict[tuple[str, str], str], repr=False
    )
    providers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    otherwise: str = field(default="", repr=False)

    def for_need(self, tool: str, parameter: str) -> Callable[[str, bool], str | None]:
        """Return the choice of a need's token, by the provider and whether it demands one."""
        own = self.sent.get((tool, parameter))

        def token_for(provider: str, demands: bool) -> str | None:  # noqa: FBT001
            if own is not None:
                return own if demands else None
            if provider in self.providers:
                return self.providers[provider]
            return (self.otherwise or None) if demands else None

        return token_for


NO_TOKENS = Tokens()


def with_provider_tokens(agents: tuple[AgentSpec, ...]) -> tuple[AgentSpec, ...]:
    """Return the agents, each with the tokens that providers of its needs demand from it."""
    offered: dict[tuple[str, str], list[tuple[str, SecretSpec]]] = {}
    for agent in agents:
        for tool in agent.tools:
            if tool.capability is not None and tool.call.auth is not None:
                provider = f"{agent.key}.{tool.name}"
                slot = offered.setdefault((agent.namespace, tool.capability), [])
                slot.append((provider, tool.call.auth))
    if not offered:
        return agents
    return tuple(_with_tokens(agent, offered) for agent in agents)


def _with_tokens(
    agent: AgentSpec, offered: Mapping[tuple[str, str], Iterable[tuple[str, SecretSpec]]]
) -> AgentSpec:
    found = {
        provider: secret
        for tool in agent.tools
        for need in tool.needs
        if need.call.auth is None
        for provider, secret in offered.get((need.namespace, need.capability), ())
    }
    return replace(agent, provider_tokens=found) if found else agent


def token_secrets(agent: AgentSpec) -> Iterator[tuple[str, SecretSpec]]:
    """Yield every token that the agent holds, with words that say which."""
    for tool in agent.tools:
        if tool.call.auth is not None:
            yield f"the token that `{tool.name}` demands", tool.call.auth
        for need in tool.needs:
            if need.call.auth is not None:
                yield f"the token that `{tool.name}` sends for `{need.parameter}`", need.call.auth
    for provider, secret in agent.provider_tokens.items():
        yield f"the token that `{provider}` demands", secret
