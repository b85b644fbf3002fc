"""Runs one instance of one agent in this process: `meshd agent run`, what a container runs.

There is no daemon: whoever started the process keeps it running, and tells it where the registry
is. Without one it serves alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

from meshd.clock import Clock
from meshd.daemon.addresses import Addresses
from meshd.daemon.environment import common_environment, environment_of, tokens_of
from meshd.daemon.instances import Instances
from meshd.daemon.lifecycle import first_reading
from meshd.daemon.link import require
from meshd.daemon.messages import LINGER_SECONDS, Report
from meshd.daemon.options import RunOptions
from meshd.daemon.prepare import load
from meshd.daemon.signals import signals
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.daemon.state import checked_node, random_node
from meshd.daemon.stop import Stop
from meshd.diagnostics.model import Diagnostic
from meshd.diagnostics.suggest import closest
from meshd.domain.spec import AgentSpec, MeshSpec
from meshd.errors import DaemonError
from meshd.plan.processes import ProcessSpec
from meshd.settings import enter_environment

OnReady = Callable[[Sequence[dict[str, Any]], tuple[Diagnostic, ...]], None]
"""Receives what runs, as `{id, endpoint, status}`, and the warnings of its start."""


async def run_agent(
    source: Source, name: str, options: RunOptions, on_ready: OnReady, clock: Clock
) -> int | None:
    """Serve the agent until a signal comes and return its number.

    Raises:
        InvalidInput: the manifests, or the agent's code, are not in order.
        DaemonError: there is no such agent.

    """
    mesh, reading = await first_reading(source, Stages(clock))
    agent = _agent(mesh, name)
    common = common_environment(source.environment, mesh.agents)
    tokens = tokens_of([agent], source.environment)
    enter_environment(environment_of([agent], common, source.environment))
    loading = load([agent], reading.project)
    warnings = require((*reading.diagnostics, *loading.diagnostics))
    url = options.registry_of(mesh)
    addresses = Addresses(
        clock,
        node=checked_node(options.node) if options.node else random_node(),
        insecure=options.insecure,
    )
    spec = ProcessSpec(name=agent.key, agents=(agent,), replicas=1, env=agent.env)
    ports = addresses.own(spec, None, {})
    [post] = addresses.posts(spec, 1, ports, {}, tokens)
    instances = Instances(
        [post],
        loading,
        registry_url=url,
        grace_seconds=options.grace_seconds,
        report=_nobody_listens,
        clock=clock,
    )
    stop = Stop()
    port = ports[agent.key]
    port.open()
    # The only handle from now on, so that callers are refused when it is closed.
    listener = port.duplicate()
    port.close()
    async with signals(stop), instances.running({post.instance: [listener]}):
        view = {"id": post.instance, "endpoint": post.endpoint, "status": "ready"}
        on_ready([view], warnings)
        await stop.wished.wait()
        await instances.drain("terminated", LINGER_SECONDS)
    return stop.number


def _agent(mesh: MeshSpec, name: str) -> AgentSpec:
    wanted = name.removeprefix("default/")
    agents = {agent.key: agent for agent in mesh.agents}
    if wanted not in agents:
        near = closest(wanted, agents)
        hint = f"did you mean `{near}`?" if near else f"there are: {', '.join(agents)}"
        raise DaemonError(f"no manifest describes an agent `{name}`", hint)
    return agents[wanted]


def _nobody_listens(_: Report) -> None:
    """Take what a daemon would be told."""
