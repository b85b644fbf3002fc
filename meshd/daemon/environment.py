"""What each process of a mesh finds in its environment, and what none of them may see.

Every process receives the daemon's environment, without the variables that hold secrets of the
mesh, and with what its own agents ask for. The fork server runs without these variables as well,
because its environment is what `/proc/PID/environ` shows of the processes that it forks.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from meshd.diagnostics.model import Diagnostic, Span
from meshd.domain.headers import header_value_problem
from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.domain.tokens import Tokens, token_secrets
from meshd.errors import InvalidInput

AUTH_TOKEN = "MCP_MESH_AUTH_TOKEN"  # noqa: S105  (the name of a variable)
"""Holds the token for providers that demand one which no manifest names, as in MCP Mesh."""


def secret_sources(agents: Iterable[AgentSpec]) -> frozenset[str]:
    """Return the variables that any agent reads a secret or a token from."""
    secrets = chain.from_iterable(
        (*agent.env.values(), *(secret for _, secret in token_secrets(agent))) for agent in agents
    )
    named = {one.env for one in secrets if isinstance(one, SecretSpec) and one.env is not None}
    return frozenset(named | {AUTH_TOKEN})


def common_environment(
    environment: Mapping[str, str], agents: Iterable[AgentSpec]
) -> dict[str, str]:
    """Return what every process may see."""
    hidden = secret_sources(agents)
    return {name: value for name, value in environment.items() if name not in hidden}


def environment_of(
    members: Iterable[AgentSpec], common: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a process that these agents share.

    Raises:
        InvalidInput: a secret is not where its reference says.

    """
    result = dict(common)
    problems: list[Diagnostic] = []
    for agent in members:
        for name, value in agent.env.items():
            found = _resolved(value, environment)
            if found is None:
                problems.append(_missing(agent, name, value))
            else:
                result[name] = found
    if problems:
        raise InvalidInput(tuple(problems))
    return result


def _resolved(value: str | SecretSpec, environment: Mapping[str, str]) -> str | None:
    if isinstance(value, str):
        return value
    if value.env is not None:
        return environment.get(value.env)
    try:
        text = Path(value.file or "").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return text.removesuffix("\n").removesuffix("\r")


def tokens_of(members: Iterable[AgentSpec], environment: Mapping[str, str]) -> dict[str, Tokens]:
    """Return the tokens of each agent that has any, by its key.

    Raises:
        InvalidInput: one is not where its reference says, or no header can hold it.

    """
    result: dict[str, Tokens] = {}
    problems: list[Diagnostic] = []
    for agent in members:
        known: dict[SecretSpec, str] = {}
        for what, secret in token_secrets(agent):
            found = _resolved(secret, environment)
            if found is None:
                problems.append(_missing_secret(f"{what}, of agent `{agent.key}`,", secret))
            elif not found or header_value_problem(found) or " " in found:
                problems.append(_no_token(f"{what}, of agent `{agent.key}`,", secret))
            else:
                known[secret] = found
        result[agent.key] = _tokens(agent, known, environment.get(AUTH_TOKEN, ""))
    if problems:
        raise InvalidInput(tuple(dict.fromkeys(problems)))
    return result


def _tokens(agent: AgentSpec, known: Mapping[SecretSpec, str], otherwise: str) -> Tokens:
    def value(secret: SecretSpec) -> str:
        return known.get(secret, "")

    needs = ((tool, need) for tool in agent.tools for need in tool.needs)
    return Tokens(
        demanded={
            tool.name: value(tool.call.auth) for tool in agent.tools if tool.call.auth is not None
        },
        sent={
            (tool.name, need.parameter): value(need.call.auth)
            for tool, need in needs
            if need.call.auth is not None
        },
        providers={name: value(secret) for name, secret in agent.provider_tokens.items()},
        otherwise=otherwise,
    )


def _missing(agent: AgentSpec, name: str, value: str | SecretSpec) -> Diagnostic:
    assert isinstance(value, SecretSpec)  # noqa: S101  (text is always there)
    what = f"the secret for `{name}` of agent `{agent.key}`"
    return _missing_secret(what, value, agent.at(f"env.{name}"))


def _missing_secret(what: str, secret: SecretSpec, span: Span | None = None) -> Diagnostic:
    if secret.env is not None:
        label, hint = f"`{secret.env}` is not set", f"set `{secret.env}` where `meshd run` starts"
    else:
        label, hint = f"`{secret.file}` cannot be read as text", "put the secret there"
    return Diagnostic(
        code="M403",
        message=f"{what} is missing",
        span=span or secret.origin,
        label=label,
        hint=hint,
    )


def _no_token(what: str, secret: SecretSpec) -> Diagnostic:
    return Diagnostic(
        code="M403",
        message=f"{what} cannot be one",
        span=secret.origin,
        label="it is empty, or has characters that no header can hold",
        hint="use letters, digits and `-._~+/=` only",
    )
