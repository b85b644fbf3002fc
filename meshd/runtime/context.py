"""What belongs to one call and travels with it: deadline and principal.

The context is a context variable, so it follows the call into threads and nested calls. Code that
serves a request enters one; proxies read it.
"""

from contextvars import ContextVar
from dataclasses import dataclass

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call: who makes it, and until when (monotonic seconds) an answer is of use."""

    principal: str = ANONYMOUS
    deadline: float | None = None

    def until(self, deadline: float) -> "CallContext":
        """Return the context with a deadline that is at most the given one."""
        if self.deadline is not None and self.deadline <= deadline:
            return self
        return CallContext(self.principal, deadline)


NO_CALL = CallContext()
current_call: ContextVar[CallContext] = ContextVar("current_call", default=NO_CALL)
