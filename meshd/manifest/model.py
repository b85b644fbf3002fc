"""The manifest language, version 1: the kinds `Mesh` and `Agent`.

Every field is declared here once, with its description, its default, the release that brought it
and what changing it costs; schemas/ and docs/reference are generated from these classes. A field
marked `later=True` belongs to the language, but this release refuses any value that would have an
effect. Pure: these classes know nothing of files. Long, so that the whole language is on one page.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from meshd.domain.spec import DEFAULT_MAX_REQUEST_BYTES
from meshd.manifest.scalars import (
    AgentName,
    BalanceName,
    CallableReference,
    CallCount,
    Capability,
    Constraint,
    Duration,
    ExecutionName,
    FailureCount,
    Flag,
    Integer,
    Json,
    Namespace,
    Percent,
    ProcessName,
    QueueLength,
    Reference,
    Replicas,
    RetryCount,
    RetryReason,
    Size,
    Text,
    ToolName,
    TypeReference,
    Version,
)
from meshd.manifest.sections import Section, either, setting

API_VERSION = "meshd.dev/v1"


class SecretReference(Section):
    """Where a secret is found; the value itself never stands in a manifest."""

    env: Text | None = setting(None, about="Environment variable that holds it.", change="restart")
    file: Text | None = setting(
        None, about="File that holds it, relative to this file.", change="restart"
    )


if TYPE_CHECKING:
    TextOrList = str | list[str]
    TextOrMap = str | dict[str, str]
    TextOrSecret = str | SecretReference
else:
    TextOrList = either(text=Text, list=list[Text])
    TextOrMap = either(text=Text, mapping=dict[Text, Text])
    TextOrSecret = either(text=Text, mapping=SecretReference)


class Retries(Section):
    """When a failed call is tried again; only what cannot have run, or is harmless to repeat."""

    max: RetryCount | None = setting(
        None, about="Further attempts after the first, at most 10; 2 unless set.", change="rewire"
    )
    on: list[RetryReason] = setting(
        [],
        about="Failures to try again after: `lost` (a broken connection), `timeout`, `busy`, "
        "`failed` (the tool's own error); all but the last unless set. Only what is `busy` is "
        "called again where the tool is not idempotent.",
        change="rewire",
    )
    timeout: Duration | None = setting(
        None,
        about="How long one attempt may take where another may follow; as long as the call unless "
        "set. For idempotent tools only.",
        change="rewire",
    )
    backoff: Duration | None = setting(
        None,
        about="Pause before a retry where no other provider is left, doubled with each; 100ms "
        "unless set.",
        change="rewire",
    )
    budget: Percent | None = setting(
        None,
        about="Share of calls that may be retries, besides ten a second; 20% unless set.",
        change="rewire",
    )


class Breaker(Section):
    """When an upstream that keeps failing is left alone."""

    failures: FailureCount | None = setting(
        None, about="Failures in a row that open it; 5 unless set.", change="rewire"
    )
    open: Duration | None = setting(
        None, about="How long it stays open; 15s unless set.", change="rewire"
    )


class Auth(Section):
    """The token that a tool demands; on a need, the one that is sent."""

    bearer: SecretReference = setting(about="The bearer token.", change="restart")


class Call(Section):
    """How a tool is called. The nearest level wins: need, tool, agent, mesh."""

    timeout: Duration | None = setting(
        None,
        about="How long a consumer waits for an answer; 30 seconds unless set.",
        change="rewire",
    )
    retries: Retries = setting(
        Retries(), about="Repeated attempts after a failure.", change="rewire"
    )
    breaker: Breaker = setting(
        Breaker(), about="Protection from an upstream that keeps failing.", change="rewire"
    )
    balance: BalanceName | None = setting(
        None,
        about="Which of equally good providers is called: the one with `least` to do, each in turn "
        "(`round_robin`), a `random` one, or the `first` that works; `least` unless set.",
        change="rewire",
    )
    concurrency: CallCount | None = setting(
        None,
        about="Calls that a consumer may have under way; the next one fails. No limit unless set.",
        change="rewire",
    )
    hedge: Duration | None = setting(
        None,
        about="Time without an answer after which a second provider is asked as well; for "
        "`readOnly` tools only.",
        change="rewire",
    )
    streaming: Flag | None = setting(
        None, about="Consumers receive the items of a generator as they are made.", change="rewire"
    )
    auth: Auth | None = setting(
        None, about="Token that the provider demands and consumers send.", change="restart"
    )
    headers: dict[Text, Text] = setting(
        {}, about="HTTP headers that consumers send; levels are merged by name.", change="rewire"
    )
    propagate: list[Text] = setting(
        [],
        about="Headers of the request being served that are handed on to the provider.",
        change="rewire",
    )


class Defaults(Section):
    """Settings for everything below that does not set its own."""

    call: Call = setting(Call(), about="How tools are called.", change="rewire")


class Metadata(Section):
    """Name and labels of a document."""

    name: AgentName = setting(about="Name, unique for its kind and namespace.", change="restart")
    namespace: Namespace = setting(
        "default", about="Namespace; needs find providers in their own.", change="restart"
    )
    labels: dict[Text, Text] = setting(
        {}, about="Labels for people and tools to select by.", change="none"
    )
    annotations: dict[Text, Json] = setting(
        {}, about="Free-form notes; meshd does not read them.", change="none"
    )


class MeshMetadata(Section):
    """Name of a mesh."""

    name: AgentName = setting("mesh", about="Name of the mesh.", change="none")
    labels: dict[Text, Text] = setting(
        {}, about="Labels for people and tools to select by.", change="none"
    )
    annotations: dict[Text, Json] = setting(
        {}, about="Free-form notes; meshd does not read them.", change="none"
    )


class Registry(Section):
    """Which registry the agents use."""

    url: Text = setting(
        "",
        about="Address of a registry, as `http://host:port`; empty: one of the mesh's own.",
        change="restart",
    )


class Sessions(Section):
    """Where session ownership is kept."""

    redis: Text = setting(
        "", about="Address of a Redis server; empty: in memory.", change="restart", later=True
    )


class MeshSection(Section):
    """Settings of the mesh as a whole."""

    registry: Registry = setting(Registry(), about="The registry.", change="restart")
    sessions: Sessions = setting(Sessions(), about="Session ownership.", change="restart")
    defaults: Defaults = setting(
        Defaults(), about="Settings for every agent that does not set its own.", change="rewire"
    )


class Python(Section):
    """Where the agent's own modules are found."""

    path: TextOrList = setting(
        [],
        about="Folder or folders to import from, relative to this file, inside the project.",
        change="restart",
    )


class Http(Section):
    """Where the agent listens."""

    host: Text = setting(
        "127.0.0.1",
        about="Address to listen on; one that is not loopback needs `meshd run --insecure`.",
        change="restart",
    )
    port: Integer = setting(
        0,
        about="Port to listen on; 0: any free one. All replicas answer on a port that is set.",
        change="restart",
    )
    advertise: Text = setting(
        "",
        about="Host, or `host:port`, that others are told instead; IPv6 with a port in brackets.",
        change="restart",
    )
    max_request: Size = setting(
        DEFAULT_MAX_REQUEST_BYTES,
        key="maxRequest",
        about="Largest request that is read; a larger one is answered with 413.",
        change="restart",
        written="4MiB",
    )


class Heartbeat(Section):
    """How the agent renews its lease."""

    interval: Duration = setting(
        5.0,
        about="Time between two heartbeats, from `1s` to `1h`.",
        change="restart",
        written="5s",
    )


class ObjectSection(Section):
    """An object made once per instance; tools name its methods as `name.method`."""

    class_reference: Reference = setting(key="class", about="The class to call.", change="restart")
    arguments: dict[Text, Json] = setting(
        {}, about="Keyword arguments of the class.", change="restart"
    )


class Hints(Section):
    """What a client may assume about a tool."""

    title: Text | None = setting(None, about="A name for people.", change="reload")
    read_only: Flag | None = setting(
        None, key="readOnly", about="It changes nothing.", change="reload"
    )
    destructive: Flag | None = setting(None, about="It may destroy something.", change="reload")
    idempotent: Flag | None = setting(
        None, about="Calling it twice does what calling it once does.", change="reload"
    )
    open_world: Flag | None = setting(
        None,
        key="openWorld",
        about="It reaches beyond the agent, such as the web.",
        change="reload",
    )


class Parameter(Section):
    """What to say about a parameter beyond what the callable says itself."""

    json_schema: dict[Text, Json] | None = setting(
        None, key="schema", about="JSON Schema that the argument must match.", change="restart"
    )
    type: TypeReference | None = setting(
        None,
        about="Type to convert the argument to: `datetime`, `date`, `Decimal`, `bytes`, `path`, "
        "`set`, … or `module:Class`.",
        change="restart",
    )
    default: Json = setting(
        None, about="Value that is passed when the caller gives none.", change="restart"
    )
    description: Text | None = setting(None, about="What the parameter means.", change="reload")
    hide: Flag = setting(
        False, about="Callers cannot see or set it; it takes its default.", change="restart"
    )
    rename: Text | None = setting(None, about="Name that callers use instead.", change="restart")


class Result(Section):
    """What to say about the result beyond what the callable says itself."""

    type: TypeReference | None = setting(
        None, about="Type of the result, as for parameters.", change="restart"
    )
    json_schema: dict[Text, Json] | None = setting(
        None, key="schema", about="JSON Schema of the result.", change="restart"
    )
    select: TextOrMap | None = setting(
        None,
        about="Part of the result to answer with: a dotted path, or a map from names to paths.",
        change="restart",
    )


class Need(Section):
    """A capability of another agent, injected as a proxy into the parameter of this name."""

    capability: Capability = setting(about="Name of the capability.", change="rewire")
    version: Constraint = setting(
        "", about='Versions that will do, such as ">=1.2,<2"; any if empty.', change="rewire"
    )
    tags: list[TextOrList] = setting(
        [],
        about="Tags to match: `fast` is required, `+fast` preferred, `-beta` excluded; of a list, "
        "one will do.",
        change="rewire",
    )
    namespace: Namespace | None = setting(
        None, about="Namespace to search; the agent's own unless set.", change="rewire"
    )
    required: Flag = setting(
        False,
        about="Without a provider the tool answers an error; otherwise the parameter is `None`.",
        change="rewire",
    )
    expects: TypeReference | None = setting(
        None, about="Type that the proxy converts results to.", change="restart"
    )
    call: Call = setting(Call(), about="How this need's provider is called.", change="rewire")


class Session(Section):
    """Which calls reach one and the same instance."""

    argument: Text = setting(about="Argument that holds the session key.", change="restart")
    required: Flag = setting(False, about="Calls without a key are refused.", change="restart")
    ttl: Duration = setting(
        1800.0, about="How long an unused session lives.", change="restart", written="30m"
    )


class Concurrency(Section):
    """How many calls of a tool an instance takes at a time."""

    max: CallCount = setting(about="Calls that run at a time.", change="restart")
    queue: QueueLength = setting(
        0, about="Further calls that may wait; the next one is answered `busy`.", change="restart"
    )


class Tool(Section):
    """One callable offered over MCP."""

    callable: CallableReference = setting(
        about="What is called: `module:qualname`, or `object.method` of an entry of `objects`.",
        change="restart",
    )
    name: ToolName | None = setting(
        None, about="Name of the tool; the callable's own unless set.", change="restart"
    )
    capability: Capability | None = setting(
        None,
        about="Name that other agents find it by; without one, it is a plain MCP tool.",
        change="rewire",
    )
    version: Version = setting("1.0.0", about="Version of the capability.", change="rewire")
    tags: list[Text] = setting([], about="Tags that needs are matched with.", change="rewire")
    description: Text | None = setting(
        None, about="What the tool does; the callable's docstring unless set.", change="reload"
    )
    hints: Hints = setting(Hints(), about="What a client may assume.", change="reload")
    parameters: dict[Text, Parameter] = setting(
        {}, about="More about parameters, by the callable's own names.", change="restart"
    )
    result: Result = setting(Result(), about="More about the result.", change="restart")
    needs: dict[Text, Need] = setting(
        {},
        about="Capabilities of others, keyed by the parameter that receives the proxy.",
        change="restart",
    )
    call: Call = setting(Call(), about="How consumers call this tool.", change="rewire")
    execution: ExecutionName | None = setting(
        None,
        about="Where a sync callable runs: `inline` on the event loop, in a `thread`, or in a "
        "`process` of its own; in a thread unless set.",
        change="restart",
    )
    concurrency: Concurrency | None = setting(
        None, about="How many calls an instance takes at a time.", change="restart"
    )
    session: Session | None = setting(
        None, about="Calls that stick to one instance.", change="restart", later=True
    )
    health: Reference | None = setting(
        None, about="Callable that says whether the tool works.", change="restart", later=True
    )


class Resource(Section):
    """A callable served as an MCP resource."""

    uri: Text = setting(
        about="Address of the resource; `{name}` parts become parameters.", change="restart"
    )
    callable: CallableReference = setting(about="What is called to read it.", change="restart")
    name: Text | None = setting(None, about="Name; the callable's own unless set.", change="reload")
    description: Text | None = setting(
        None, about="What it holds; the callable's docstring unless set.", change="reload"
    )
    mime_type: Text | None = setting(
        None, key="mimeType", about="Media type of the content.", change="reload"
    )


class Prompt(Section):
    """A callable served as an MCP prompt."""

    callable: CallableReference = setting(about="What is called to make it.", change="restart")
    name: ToolName | None = setting(
        None, about="Name; the callable's own unless set.", change="restart"
    )
    description: Text | None = setting(
        None, about="What it is for; the callable's docstring unless set.", change="reload"
    )


class AgentSection(Section):
    """One agent: a FastMCP server and what it offers and needs."""

    version: Version = setting("1.0.0", about="Version of the agent.", change="reload")
    description: Text = setting(
        "", about="What the agent is for; clients see it as instructions.", change="reload"
    )
    replicas: Replicas = setting(
        1, about="How many instances run, each in a process of its own.", change="none"
    )
    process: ProcessName | None = setting(
        None,
        about="Agents with the same name here share a process, and so its replicas and variables.",
        change="restart",
    )
    python: Python = setting(Python(), about="Import roots.", change="restart")
    env: dict[Text, TextOrSecret] = setting(
        {},
        about="Environment variables of this agent's process: text, or where a secret is found.",
        change="restart",
    )
    lifespan: Reference | None = setting(
        None,
        about="Async context manager around serving; its parameters receive `objects` by name.",
        change="restart",
    )
    objects: dict[Text, ObjectSection] = setting(
        {}, about="Objects made once per instance.", change="restart"
    )
    http: Http = setting(Http(), about="The HTTP endpoint.", change="restart")
    heartbeat: Heartbeat = setting(Heartbeat(), about="Lease renewal.", change="restart")
    defaults: Defaults = setting(
        Defaults(), about="Settings for every tool that does not set its own.", change="rewire"
    )
    tools: list[Tool] = setting([], about="Callables offered over MCP.", change="restart")
    resources: list[Resource] = setting(
        [], about="Callables served as resources.", change="restart"
    )
    prompts: list[Prompt] = setting([], about="Callables served as prompts.", change="restart")
    session: Session | None = setting(
        None,
        about="Calls that stick to one instance, for every tool.",
        change="restart",
        later=True,
    )
    health: Reference | None = setting(
        None, about="Callable that says whether the agent works.", change="restart", later=True
    )


class MeshDocument(Section):
    """Settings of the whole mesh; at most one, and everything in it has a default."""

    api_version: Literal["meshd.dev/v1"] = setting(
        key="apiVersion", about="Version of the language.", change="none"
    )
    kind: Literal["Mesh"] = setting(about="Kind of the document.", change="none")
    metadata: MeshMetadata = setting(MeshMetadata(), about="Name and labels.", change="none")
    spec: MeshSection = setting(MeshSection(), about="Settings of the mesh.", change="restart")


class AgentDocument(Section):
    """One agent of the mesh."""

    api_version: Literal["meshd.dev/v1"] = setting(
        key="apiVersion", about="Version of the language.", change="none"
    )
    kind: Literal["Agent"] = setting(about="Kind of the document.", change="none")
    metadata: Metadata = setting(about="Name, namespace and labels.", change="restart")
    spec: AgentSection = setting(about="What the agent is.", change="restart")


Document = MeshDocument | AgentDocument
KINDS: Mapping[str, type[MeshDocument] | type[AgentDocument]] = {
    "Mesh": MeshDocument,
    "Agent": AgentDocument,
}
