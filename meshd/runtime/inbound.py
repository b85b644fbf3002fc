"""What a request says of the call that it makes: headers and `_meta` to a `CallContext`.

Used by both ways to answer a request, so that a tool sees the same context on either. Pure: the
time is an argument. Header names are in lower case, as ASGI has them.

https://www.w3.org/TR/trace-context/
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from meshd.plan.model import AgentPlan
from meshd.runtime.context import NO_CALL, NO_FIELDS, CallContext
from meshd.runtime.protocol import MCP_MESH_TIMEOUT, TIMEOUT

_TIMEOUT = TIMEOUT.lower().encode()
_MCP_MESH_TIMEOUT = MCP_MESH_TIMEOUT.lower().encode()
TIMES = frozenset({_TIMEOUT, _MCP_MESH_TIMEOUT})

_TRACE = ("traceparent", "tracestate", "baggage")
_TRACE_HEADERS = {name.encode(): name for name in _TRACE}
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_SECONDS = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_WHOLE_SECONDS = re.compile(rb"[1-9][0-9]{0,8}")


class Inbound:
    """Reads the context of requests to one agent."""

    def __init__(self, propagated: Iterable[str]) -> None:
        """Keep those headers of requests that are named, in lower case."""
        self._propagated = {name.encode(): name for name in propagated}
        self.names = frozenset({*TIMES, *_TRACE_HEADERS, *self._propagated})
        """The headers that it reads."""

    @classmethod
    def of(cls, agent: AgentPlan) -> "Inbound":
        """Make it for what the agent's needs and tools hand on."""
        names: set[str] = set()
        for tool in agent.tools:
            for call in (tool.spec.call, *(need.call for need in tool.spec.needs)):
                names.update(call.propagate or ())
        return cls(sorted(names))

    def context(self, headers: Mapping[bytes, bytes], now: float) -> CallContext:
        """Return the context that the headers give, without principal; `now` is monotonic."""
        said = {name: value.strip(b" \t") for name, value in headers.items() if name in self.names}
        if not said:
            return NO_CALL
        left = seconds_left(said)
        return CallContext(
            deadline=None if left is None else now + left,
            trace=trace_of(_texts(said, _TRACE_HEADERS)),
            headers=_texts(said, self._propagated) or NO_FIELDS,
        )


def traced(context: CallContext, meta: Mapping[str, Any]) -> CallContext:
    """Return the context with the trace that `_meta` carries, if it carries one."""
    if "traceparent" not in meta and "baggage" not in meta:
        return context
    said = {name: meta[name] for name in _TRACE if isinstance(meta.get(name), str)}
    trace = trace_of(said)
    if "traceparent" not in trace:
        trace = {**context.trace, **trace}
    elif "baggage" not in trace and "baggage" in context.trace:
        trace = {**trace, "baggage": context.trace["baggage"]}
    return replace(context, trace=trace) if trace else context


def trace_of(said: Mapping[str, str]) -> Mapping[str, str]:
    """Return the trace context; without a well-formed `traceparent` only the baggage counts."""
    if _TRACEPARENT.fullmatch(said.get("traceparent", "")):
        return said
    return {"baggage": said["baggage"]} if "baggage" in said else NO_FIELDS


def _texts(said: Mapping[bytes, bytes], names: Mapping[bytes, str]) -> dict[str, str]:
    return {text: said[name].decode("latin-1") for name, text in names.items() if name in said}


def time_left(headers: Mapping[bytes, bytes]) -> float | None:
    """Return the seconds that are left for the call by headers as they came."""
    return seconds_left({name: headers[name].strip(b" \t") for name in TIMES if name in headers})


def seconds_left(headers: Mapping[bytes, bytes]) -> float | None:
    """Return the seconds that are left for the call: the smaller of what two headers say."""
    left = math.inf
    said = headers.get(_TIMEOUT, b"")
    if _SECONDS.fullmatch(said):
        left = float(said)
    said = headers.get(_MCP_MESH_TIMEOUT, b"")
    if _WHOLE_SECONDS.fullmatch(said):
        left = min(left, float(said))
    return None if left == math.inf else left
