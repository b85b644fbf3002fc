"""What each process of a mesh finds in its environment, and what none of them may see.

Every process receives the daemon's environment, without the variables that hold secrets of the
mesh, and with what its own agents ask for. The fork server runs without these variables as well,
because its environment is what `/proc/PID/environ` shows of the processes that it forks.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from meshd.diagnostics.model import Diagnostic
from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.errors import InvalidInput


def secret_sources(agents: Iterable[AgentSpec]) -> frozenset[str]:
    """Return the variables that any agent reads a secret from."""
    return frozenset(
        value.env
        for agent in agents
        for value in agent.env.values()
        if isinstance(value, SecretSpec) and value.env is not None
    )


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


def _missing(agent: AgentSpec, name: str, value: str | SecretSpec) -> Diagnostic:
    assert isinstance(value, SecretSpec)  # noqa: S101  (text is always there)
    if value.env is not None:
        label, hint = f"`{value.env}` is not set", f"set `{value.env}` where `meshd run` starts"
    else:
        label, hint = f"`{value.file}` cannot be read as text", "put the secret there"
    return Diagnostic(
        code="M403",
        message=f"the secret for `{name}` of agent `{agent.key}` is missing",
        span=agent.at(f"env.{name}"),
        label=label,
        hint=hint,
    )
