"""Names of the mesh: typed ids, and checks that say what is wrong with a name.

Each check returns a reason that stands alone (lower case, the name in backticks), or `None`.
Names are compared as they are written; nothing here normalises them.
"""

import re
from typing import NewType

AgentName = NewType("AgentName", str)
CapabilityName = NewType("CapabilityName", str)
ToolName = NewType("ToolName", str)
InstanceId = NewType("InstanceId", str)

DEFAULT_NAMESPACE = "default"

MAX_AGENT_LENGTH = 50
MAX_PROCESS_LENGTH = 50
MAX_NODE_LENGTH = 20
MAX_NAMESPACE_LENGTH = 63
MAX_TOOL_LENGTH = 128
MAX_CAPABILITY_LENGTH = 100
MAX_INSTANCE_ID_LENGTH = 63

# An instance's number may have up to four digits, with the hyphen before it.
_ROOM_FOR_NUMBER = 5

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_TOOL = re.compile(r"[A-Za-z0-9_-]+\Z")
_CAPABILITY = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*(\.[a-zA-Z][a-zA-Z0-9_-]*)*\Z")


def agent_name_problem(name: str) -> str | None:
    """Say why this cannot name an agent: it must be a DNS label without `--`."""
    return _label_problem(name, "an agent's name", MAX_AGENT_LENGTH)


def namespace_problem(name: str) -> str | None:
    """Say why this cannot name a namespace: it must be a DNS label without `--`."""
    return _label_problem(name, "a namespace", MAX_NAMESPACE_LENGTH)


def process_name_problem(name: str) -> str | None:
    """Say why this cannot name a process that agents share: it must be a DNS label without `--`."""
    return _label_problem(name, "a process's name", MAX_PROCESS_LENGTH)


def node_problem(node: str) -> str | None:
    """Say why this cannot name a daemon's place: it must be a short DNS label without `--`."""
    return _label_problem(node, "a node's name", MAX_NODE_LENGTH)


def tool_name_problem(name: str) -> str | None:
    """Say why this cannot name a tool: MCP's characters, without dots."""
    if not name:
        return "a tool's name must not be empty"
    if len(name) > MAX_TOOL_LENGTH:
        return _too_long(name, "a tool's name", MAX_TOOL_LENGTH)
    if not _TOOL.match(name):
        return f"`{_shown(name)}` is not a tool's name: use letters, digits, `_` and `-`"
    return None


def capability_problem(name: str) -> str | None:
    """Say why this cannot name a capability: words with dots between, each begun by a letter."""
    if not name:
        return "a capability must not be empty"
    if len(name) > MAX_CAPABILITY_LENGTH:
        return _too_long(name, "a capability", MAX_CAPABILITY_LENGTH)
    if not _CAPABILITY.match(name):
        rule = "use words of letters, digits, `_` and `-` that begin with a letter, dots between"
        return f"`{_shown(name)}` is not a capability: {rule}"
    return None


def qualified_name_problem(agent: str, namespace: str) -> str | None:
    """Say why the two names do not go together: instance ids must stay within 63 characters."""
    stem = instance_stem(agent, namespace)
    limit = MAX_INSTANCE_ID_LENGTH - _ROOM_FOR_NUMBER
    if len(stem) > limit:
        return f"`{stem}` has {len(stem)} characters; namespace and agent may have {limit} together"
    return None


def instance_id_problem(agent: str, namespace: str, node: str) -> str | None:
    """Say why an agent's instances cannot have ids with this node in them: they grow too long."""
    longest = instance_id(agent, 10 ** (_ROOM_FOR_NUMBER - 1) - 1, namespace, node)
    if len(longest) <= MAX_INSTANCE_ID_LENGTH:
        return None
    longer = len(longest) - MAX_INSTANCE_ID_LENGTH
    stem = instance_stem(agent, namespace)
    return f"the ids of `{stem}` on node `{node}` are {longer} characters too long"


def instance_stem(agent: str, namespace: str = DEFAULT_NAMESPACE) -> str:
    """Return what the ids of an agent's instances have in common."""
    return agent if namespace == DEFAULT_NAMESPACE else f"{namespace}--{agent}"


def instance_id(
    agent: str, number: int, namespace: str = DEFAULT_NAMESPACE, node: str = ""
) -> InstanceId:
    """Return the id of an agent's instance; its numbers count from 1.

    `node` tells the instances of daemons that share a registry apart.
    """
    parts = (instance_stem(agent, namespace), node, str(number))
    return InstanceId("-".join(part for part in parts if part))


def agent_key(agent: str, namespace: str = DEFAULT_NAMESPACE) -> str:
    """Return the name that is unique in the mesh: `namespace/agent`, but `agent` in `default`."""
    return agent if namespace == DEFAULT_NAMESPACE else f"{namespace}/{agent}"


def _label_problem(name: str, what: str, limit: int) -> str | None:
    if not name:
        return f"{what} must not be empty"
    if len(name) > limit:
        return _too_long(name, what, limit)
    if not _LABEL.match(name):
        rule = "use lowercase letters, digits and `-`, with a letter or digit at both ends"
        return f"`{_shown(name)}` is not {what}: {rule}"
    if "--" in name:
        return f"`{name}` is not {what}: `--` separates namespace and agent in instance ids"
    return None


def _too_long(name: str, what: str, limit: int) -> str:
    return f"{what} may have {limit} characters, `{_shown(name)}` has {len(name)}"


def _shown(name: str) -> str:
    """Return the name on one line and of bearable length; control characters are escaped."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    return text if len(text) <= 80 else f"{text[:77]}..."
