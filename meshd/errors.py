"""The exceptions of meshd, all under one root; fields, not prose, carry the facts.

MeshdError
├── InvalidInput             the user's input is wrong: carries diagnostics
├── DaemonError              the daemon cannot start or cannot be reached
│   ├── AlreadyRunning
│   └── NotReachable
├── LifespanFailed           an agent's lifespan raised
├── RegistrationRefused      the registry does not take a registration
│   ├── MalformedRegistration  it cannot be read, or is too large
│   ├── StaleIncarnation     a later start of the instance is registered
│   └── RegistryFull         there is no room for it
├── RegistryAway             the registry cannot be reached, or cannot answer now
│   └── MalformedAnswer      it answers what the protocol does not say
└── CallError                a call through the mesh failed
    ├── CallTimedOut         no answer within the call's time
    ├── Unavailable          no provider, or none that can be reached
    │   ├── Unreachable      no connection could be made, so that nothing was sent
    │   └── BreakerOpen      all that could serve failed so often that they are left alone
    ├── Busy                 the provider, or the edge to it, has as many calls as it may have
    ├── Unauthorised         the provider does not accept the caller's token, or there is none
    ├── ConnectionLost       the connection broke after the call was sent
    ├── ArgumentsRejected    the arguments do not fit the tool's parameters
    ├── ToolFailed           the tool ran and raised
    ├── InputRequired        the tool asks for input, which only a client can give
    ├── TaskStarted          the tool answers later, as a task
    └── ResultRejected       the tool's result cannot be sent, or is not what was expected
"""

from collections.abc import Mapping
from typing import Any

from meshd.diagnostics.model import Diagnostic


class MeshdError(Exception):
    """Root of all exceptions that meshd raises."""


class InvalidInput(MeshdError):
    """The user's input is wrong; `diagnostics` say where and how to fix it."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = diagnostics


class DaemonError(MeshdError):
    """The daemon cannot do what was asked; `hint` says what the user can do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AlreadyRunning(DaemonError):
    """Another daemon holds the state directory."""


class NotReachable(DaemonError):
    """No daemon answers for the state directory."""


class LifespanFailed(MeshdError):
    """An agent's lifespan raised while it was entered; the cause is what it raised."""

    def __init__(self, agent: str) -> None:
        super().__init__(f"the lifespan of agent `{agent}` raised")
        self.agent = agent


class RegistrationRefused(MeshdError):
    """The registry does not take a registration."""


class MalformedRegistration(RegistrationRefused):
    """A registration cannot be read, or is too large."""


class StaleIncarnation(RegistrationRefused):
    """A later start of the instance is registered already."""

    def __init__(self, instance: str, incarnation: int, current: int) -> None:
        super().__init__(
            f"incarnation {incarnation} of `{instance}` is stale: {current} is registered"
        )
        self.instance = instance
        self.incarnation = incarnation
        self.current = current


class RegistryFull(RegistrationRefused):
    """The registry has no room for a further registration."""


class RegistryAway(MeshdError):
    """The registry cannot be reached, or cannot answer now; nothing is torn down for that."""


class MalformedAnswer(RegistryAway):
    """The registry answers what the protocol does not say."""


class CallError(MeshdError):
    """A call failed: which provider, after how many attempts, and whether a retry could help.

    `provider` is `agent.tool`, or the capability while no provider is known. `code` names the kind
    where the error travels between agents; `retriable` says whether the same call, made again
    later, could succeed; `executed` is False where the tool certainly has not run.
    """

    code = "error"
    retriable = False
    executed = True

    def __init__(self, message: str, *, provider: str = "", attempts: int = 1) -> None:
        super().__init__(message)
        self.provider = provider
        self.attempts = attempts


class CallTimedOut(CallError, TimeoutError):
    """No answer came within the call's time; the tool may or may not have run."""

    code = "timeout"
    retriable = True


class Unavailable(CallError, ConnectionError):
    """Nothing provides the capability, or no provider can be reached; nothing was executed."""

    code = "unavailable"
    retriable = True
    executed = False


class Unreachable(Unavailable):
    """No connection to the provider could be made, or it broke before anything was sent."""


class BreakerOpen(Unavailable):
    """Every provider failed so often that it is left alone for a while; nothing was executed."""

    code = "breaker-open"


class Busy(CallError):
    """As many calls are under way, and wait, as may; nothing was executed."""

    code = "busy"
    retriable = True
    executed = False


class Unauthorised(CallError, PermissionError):
    """The provider demands a token, and does not accept the one that was sent, or none was."""

    code = "unauthorised"
    executed = False


class ConnectionLost(CallError, ConnectionError):
    """The connection broke after the call was sent; the tool may or may not have run."""

    code = "lost"
    retriable = True


class ArgumentsRejected(CallError, ValueError):
    """The arguments do not fit the tool's parameters; nothing was executed."""

    code = "arguments"
    executed = False


class ToolFailed(CallError):
    """The tool ran and raised."""

    code = "failed"


class InputRequired(CallError):
    """The tool asks for input that only a client can give.

    `requests` are what it asks, as the protocol says, and `state` is what it wants back with the
    answers.
    """

    code = "input-required"

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        attempts: int = 1,
        requests: Mapping[str, Any] | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, attempts=attempts)
        self.requests = dict(requests or {})
        self.state = state


class TaskStarted(CallError):
    """The tool answers later, as a task; `task` is its handle, as the protocol says."""

    code = "task"

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        attempts: int = 1,
        task: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, provider=provider, attempts=attempts)
        self.task = dict(task or {})


class ResultRejected(CallError):
    """The tool ran, but its result cannot be sent or is not of the type that was expected."""

    code = "result"
