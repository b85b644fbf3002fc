"""What the daemon and a process of its mesh say to each other, over a socket that only they have.

The daemon sends one `Job`, pickled, because the places in files that it carries are left out of
JSON; the process that runs user code answers in JSON, which is read strictly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from meshd.callables.project import Project
from meshd.diagnostics.model import Diagnostic
from meshd.domain.signature import ToolSignature
from meshd.domain.spec import AgentSpec
from meshd.domain.tokens import NO_TOKENS, Tokens
from meshd.runtime.registration import EdgeState

LINGER_SECONDS = 1.0
"""How long idle connections stay where another instance takes over: longer than it takes a client
that has just chosen one of them to send its request.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One agent that a process serves, as which instance, and where others find it.

    `sockets` says how many listening sockets came along for it, in the order of the posts.
    `tokens` are what it demands and sends.
    """

    agent: AgentSpec
    instance: str
    incarnation: int
    endpoint: str
    sockets: int = 1
    tokens: Tokens = field(default=NO_TOKENS, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceJob:
    """Load these agents, report, and serve them when told; `environment` is the whole of it."""

    name: str
    project: Project
    posts: tuple[Post, ...]
    environment: Mapping[str, str] = field(repr=False)
    grace_seconds: float
    verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryJob:
    """Serve the registry on the socket that came along."""

    host: str
    store: str
    verbose: bool = False


Job = InstanceJob | RegistryJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """From the daemon: begin to serve; an empty URL means that there is no registry."""

    registry_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """From the daemon: take no new calls, finish the rest, leave the registry, and end.

    Where another instance takes over, connections stay usable for `linger_seconds`.
    """

    reason: str = ""
    linger_seconds: float = 0.0


Order = Serve | Drain


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The user's code is imported: signatures by agent key and tool, and the files they are in."""

    signatures: Mapping[str, Mapping[str, ToolSignature]] = field(
        default_factory=dict[str, Mapping[str, ToolSignature]]
    )
    warnings: tuple[Diagnostic, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The job cannot be done, and the process ends; `files` are those that had a part in it."""

    diagnostics: tuple[Diagnostic, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Every socket answers; `problem` is what a registry's store suffers from.

    `stages` are the steps of the start with their times in seconds, in order.
    """

    problem: str = ""
    stages: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderView:
    """An upstream, as `meshd list` shows it."""

    agent: str
    instance: str
    endpoint: str
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """A need of an instance and what serves it now."""

    tool: str
    parameter: str
    capability: str
    status: Literal["resolved", "unresolved", "waiting"]
    providers: tuple[ProviderView, ...] = ()

    @classmethod
    def of(cls, edge: EdgeState) -> Self:
        """Return the view of a need as its instance has it wired."""
        return cls(
            tool=edge.tool,
            parameter=edge.parameter,
            capability=edge.capability,
            status=edge.status,
            providers=tuple(
                ProviderView(
                    agent=one.agent, instance=one.instance, endpoint=one.endpoint, tool=one.tool
                )
                for one in edge.providers
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The edges of an instance are now these."""

    instance: str
    edges: tuple[EdgeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """How an instance stands with the registry, with a reason where it is not in it."""

    instance: str
    status: Literal["connected", "away", "refused"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The process listens no more, and finishes the calls that it has; `reason` is why."""

    reason: str = ""


Report = Loaded | Refused | Ready | Wired | Registered | Withdrawn
