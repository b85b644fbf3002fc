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
    ├── ArgumentsRejected    the arguments do not fit the tool's parameters
    ├── ToolFailed           the tool ran and raised
    └── ResultRejected       the tool's result cannot be sent, or is not what was expected
"""

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

    `provider` is `agent.tool`, or the capability while no provider is known.
    """

    retriable = False

    def __init__(self, message: str, *, provider: str = "", attempts: int = 1) -> None:
        super().__init__(message)
        self.provider = provider
        self.attempts = attempts


class CallTimedOut(CallError, TimeoutError):
    """No answer came within the call's time; the tool may or may not have run."""


class Unavailable(CallError, ConnectionError):
    """Nothing provides the capability, or no provider can be reached; nothing was executed."""

    retriable = True


class ArgumentsRejected(CallError, ValueError):
    """The arguments do not fit the tool's parameters; nothing was executed."""


class ToolFailed(CallError):
    """The tool ran and raised."""


class ResultRejected(CallError):
    """The tool ran, but its result cannot be sent or is not of the type that was expected."""
