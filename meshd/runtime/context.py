"""What belongs to one call and travels with it: deadline, principal, trace and headers to hand on.

The context is a context variable, so it follows the call into threads and nested calls. Code that
serves a request enters one; proxies read it.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

ANONYMOUS = "anonymous"
NO_FIELDS: Mapping[str, str] = MappingProxyType({})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call: who makes it, and until when (monotonic seconds) an answer is of use.

    `trace` holds the W3C trace context (`traceparent`, `tracestate`, `baggage`), `headers` those
    headers of the request, in lower case, that some need of the agent hands on. `opened` names the
    tools of the serving agent whose token the request carries.
    """

    principal: str = ANONYMOUS
    deadline: float | None = None
    trace: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS)
    headers: Mapping[str, str] = field(default_factory=lambda: NO_FIELDS)
    opened: frozenset[str] = NOTHING


NO_CALL = CallContext()
current_call: ContextVar[CallContext] = ContextVar("current_call", default=NO_CALL)
