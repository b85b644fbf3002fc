"""The tool that a command is about: `[namespace/]agent.tool`."""

from collections.abc import Collection, Iterable, Mapping

from meshd.diagnostics.suggest import closest
from meshd.errors import MeshdError


class BadRequest(MeshdError):
    """The user named something that is not there, or typed what cannot be understood."""


def split_target(text: str) -> tuple[str, str]:
    """Split a target into the agent's key and the tool's name."""
    agent, dot, tool = text.rpartition(".")
    if not (agent and dot and tool):
        raise BadRequest(f"`{text}` does not name a tool: write `agent.tool`")
    return agent.removeprefix("default/"), tool


def require_tool(
    tools: Mapping[str, Collection[str]], agent: str, tool: str, *, where: str
) -> None:
    """Raise an error that names what comes nearest, unless the agent has the tool.

    `tools` are the names of tools by agent key; `where` says in which mesh they are.
    """
    if agent not in tools:
        raise BadRequest(f"no agent `{agent}` {where}{meant(agent, tools)}")
    if tool not in tools[agent]:
        raise BadRequest(f"agent `{agent}` has no tool `{tool}`{meant(tool, tools[agent])}")


def meant(word: str, known: Iterable[str]) -> str:
    """Return an ending for an error that names what comes nearest to a wrong name, if anything."""
    near = closest(word, known)
    return f"; did you mean `{near}`?" if near else ""
