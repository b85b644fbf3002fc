"""Where instances listen, and what others are told of it: an agent's address to bound ports."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from meshd.clock import Clock
from meshd.daemon.messages import Post
from meshd.daemon.ports import Port, outgoing_host, refusal
from meshd.diagnostics.model import Diagnostic
from meshd.domain.endpoint import WILDCARDS, is_loopback
from meshd.domain.names import instance_id, instance_id_problem
from meshd.domain.spec import AgentSpec
from meshd.domain.tokens import NO_TOKENS, Tokens
from meshd.errors import DaemonError, InvalidInput
from meshd.plan.processes import ProcessSpec

Ports = Mapping[str, Port]
"""By agent key."""


class Addresses:
    """The ports of all processes; those with a number of the user's are shared where needed."""

    def __init__(self, clock: Clock, *, node: str = "", insecure: bool = False) -> None:
        self._clock = clock
        self._node = node
        self._insecure = insecure
        self._fixed: dict[tuple[str, int], Port] = {}
        self._incarnation = 0

    def own(self, spec: ProcessSpec, before: ProcessSpec | None, held: Ports) -> dict[str, Port]:
        """Return a port for each agent of a process: the one it holds if its address is the same.

        Raises:
            InvalidInput: a port cannot be had, or may not.

        """
        old = {agent.key: _own_address(agent, before) for agent in before.agents} if before else {}
        ports: dict[str, Port] = {}
        problems: list[Diagnostic] = []
        for agent in spec.agents:
            address = _own_address(agent, spec)
            try:
                same = agent.key in held and old.get(agent.key) == address
                ports[agent.key] = held[agent.key] if same else self._bound(agent, address)
            except InvalidInput as error:
                problems.extend(error.diagnostics)
        if problems:
            self.release(ports, held)
            raise InvalidInput(tuple(problems))
        return ports

    def shared(self, spec: ProcessSpec) -> dict[str, Port]:
        """Return the ports that the replicas of agents with a fixed port share; raises as `own`."""
        return {
            agent.key: self._bound(agent, (agent.host, agent.port))
            for agent in spec.agents
            if agent.port and spec.replicas > 1
        }

    def release(self, ports: Ports, kept: Ports) -> None:
        """Close ports that are no longer used; those with a number of the user's may yet be."""
        still = {*kept.values(), *self._fixed.values()}
        for port in set(ports.values()) - still:
            port.close()

    def close_unused(self, used: Collection[Port]) -> None:
        """Give up the ports with a number of the user's that are not among the used ones."""
        for address, port in list(self._fixed.items()):
            if port not in used:
                port.close()
                del self._fixed[address]

    def posts(
        self,
        spec: ProcessSpec,
        number: int,
        own: Ports,
        shared: Ports,
        tokens: Mapping[str, Tokens] = MappingProxyType({}),
    ) -> tuple[Post, ...]:
        """Return what each agent of a process is, in its replica of that number, from now on.

        `tokens` are by agent key.

        Raises:
            DaemonError: with the node's name the instances' ids would be too long.

        """
        for agent in spec.agents:
            if problem := instance_id_problem(agent.name, agent.namespace, self._node):
                raise DaemonError(problem, "choose a shorter name in `MESHD_NODE`")
        # Grows with each start, and over restarts of the daemon.
        self._incarnation = max(self._incarnation + 1, int(self._clock.now().timestamp() * 1000))
        return tuple(
            Post(
                agent=agent,
                instance=instance_id(agent.name, number, agent.namespace, self._node),
                incarnation=self._incarnation,
                endpoint=_endpoint(agent, own[agent.key]),
                sockets=1 + (agent.key in shared),
                tokens=tokens.get(agent.key, NO_TOKENS),
            )
            for agent in spec.agents
        )

    def _bound(self, agent: AgentSpec, address: tuple[str, int]) -> Port:
        if not (self._insecure or is_loopback(agent.host)):
            raise InvalidInput((_exposed(agent),))
        if address in self._fixed:
            return self._fixed[address]
        try:
            port = Port(*address)
        except (OSError, OverflowError) as error:
            raise InvalidInput((_refused(agent, error),)) from None
        if address[1]:
            self._fixed[address] = port
        return port


def in_order(spec: ProcessSpec, own: Ports, shared: Ports) -> list[Port]:
    """Return the ports in the order of the agents, each with its shared one behind it."""
    ordered: list[Port] = []
    for agent in spec.agents:
        ordered.append(own[agent.key])
        if agent.key in shared:
            ordered.append(shared[agent.key])
    return ordered


def _own_address(agent: AgentSpec, spec: ProcessSpec) -> tuple[str, int]:
    """Return where a replica of its own listens: a fixed port is shared by several."""
    return agent.host, agent.port if spec.replicas <= 1 else 0


def _endpoint(agent: AgentSpec, port: Port) -> str:
    endpoint = port.endpoint
    if agent.host in WILDCARDS and not agent.advertise:
        endpoint = endpoint.advertised(outgoing_host())
    return endpoint.advertised(agent.advertise).url


def _exposed(agent: AgentSpec) -> Diagnostic:
    return Diagnostic(
        code="M404",
        message=f"agent `{agent.key}` would listen on `{agent.host}`",
        span=agent.at("host"),
        label="whoever reaches this address may call its tools",
        hint="say `--insecure` if the network around it is to be trusted",
    )


def _refused(agent: AgentSpec, error: OSError | OverflowError) -> Diagnostic:
    where = f"{agent.host}:{agent.port}"
    return Diagnostic(
        code="M401",
        message=f"agent `{agent.key}` cannot listen on {where}: {refusal(error)}",
        span=agent.at("port" if agent.port else "host"),
        hint="choose another `http.port`, or 0 for any free one",
    )
