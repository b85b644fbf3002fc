"""The way that a call takes from a consumer to an upstream. Pure.

session ─ to the instance that owns the session key
self ─ the consumer's own agent, in its own process
in-process ─ another agent in the same process, called directly
stream ─ over HTTP, chunks as server-sent events
http ─ over HTTP
"""

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How an upstream is reached."""

    SELF = "self"
    IN_PROCESS = "in-process"
    HTTP = "http"
    STREAM = "stream"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What decides on the way to an upstream; `scheme` is that of its endpoint."""

    is_same_agent: bool = False
    is_same_process: bool = False
    is_streaming: bool = False
    has_session: bool = False
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Decision:
    """A way, and in one line why it is taken."""

    way: Way
    reason: str

    @property
    def is_direct(self) -> bool:
        """Whether the call stays in the process."""
        return self.way in {Way.SELF, Way.IN_PROCESS}


def way_to(reach: Reach) -> Decision:
    """Return the way to an upstream, and why."""
    if reach.has_session:
        return Decision(Way.SESSION, "calls with a session key go to the instance that owns it")
    if reach.is_same_process:
        chunks = "; chunks are handed over one by one" if reach.is_streaming else ""
        if reach.is_same_agent:
            return Decision(Way.SELF, f"the agent provides what it needs itself{chunks}")
        return Decision(Way.IN_PROCESS, f"both agents share one process{chunks}")
    over = "HTTPS" if reach.scheme == "https" else "HTTP"
    if reach.is_streaming:
        return Decision(Way.STREAM, f"`streaming` is on: chunks come as events over {over}")
    return Decision(Way.HTTP, f"the provider runs in another process and is called over {over}")
