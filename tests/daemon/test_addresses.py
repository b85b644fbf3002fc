"""Which ports processes get, and what others are told of them."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from meshd.clock import SystemClock
from meshd.daemon.addresses import Addresses, in_order
from meshd.daemon.ports import Port, outgoing_host
from meshd.domain.spec import AgentSpec
from meshd.errors import DaemonError, InvalidInput
from meshd.plan.processes import ProcessSpec


def process(*agents: AgentSpec, replicas: int = 1) -> ProcessSpec:
    return ProcessSpec(name="p", agents=agents, replicas=replicas)


def addresses(**more: str | bool) -> Addresses:
    return Addresses(SystemClock(), **more)  # pyright: ignore[reportArgumentType]


@contextmanager
def taken() -> Generator[int, None, None]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with taken() as port:
        return port


def close(*ports: Port) -> None:
    for port in ports:
        port.close()


def test_a_process_keeps_the_ports_whose_address_is_the_same() -> None:
    one = addresses()
    before = process(AgentSpec(name="a"), AgentSpec(name="b"))
    held = one.own(before, None, {})
    after = process(AgentSpec(name="a"), AgentSpec(name="b", host="localhost"))
    ports = one.own(after, before, held)
    assert ports["a"] is held["a"]
    assert ports["b"] is not held["b"]
    one.release(held, ports)
    assert (held["b"].descriptor, held["a"].descriptor > 0) == (-1, True)
    one.release(ports, {})
    assert [port.descriptor for port in ports.values()] == [-1, -1]


def test_a_fixed_port_is_shared_where_there_are_replicas() -> None:
    one, number = addresses(), free_port()
    agent = AgentSpec(name="a", port=number)
    many = process(agent, AgentSpec(name="b"), replicas=2)
    front = one.shared(many)
    assert list(front) == ["a"]
    assert one.shared(many) == front
    assert one.shared(replace(many, replicas=1)) == {}
    first, second = one.own(many, None, {}), one.own(many, None, {})
    assert len({first["a"].endpoint.port, second["a"].endpoint.port, number}) == 3
    assert in_order(many, first, front) == [first["a"], front["a"], first["b"]]
    posts = one.posts(many, 2, second, front)
    assert [(post.instance, post.endpoint, post.sockets) for post in posts] == [
        ("a-2", second["a"].endpoint.url, 2),
        ("b-2", second["b"].endpoint.url, 1),
    ]
    single = one.own(replace(many, replicas=1), many, first)
    assert single["a"] is front["a"]
    close(*first.values(), *second.values())
    one.release(single, {})
    assert front["a"].descriptor > 0
    one.close_unused({front["a"]})
    assert front["a"].descriptor > 0
    one.close_unused(())
    assert front["a"].descriptor == -1


def test_incarnations_grow() -> None:
    one, spec = addresses(), process(AgentSpec(name="a"))
    ports = one.own(spec, None, {})
    numbers = [one.posts(spec, 1, ports, {})[0].incarnation for _ in range(3)]
    assert numbers == sorted(set(numbers))
    close(*ports.values())


def test_every_port_that_cannot_be_had_is_named_and_none_is_kept() -> None:
    one = addresses()
    with taken() as first, taken() as second:
        spec = process(
            AgentSpec(name="a", port=first),
            AgentSpec(name="b"),
            AgentSpec(name="c", port=second),
            AgentSpec(name="d", host="192.0.2.1"),
            AgentSpec(name="e", port=70_000),
        )
        with pytest.raises(InvalidInput) as caught:
            one.own(spec, None, {})
    codes = [(found.code, found.message.split(" ")[1]) for found in caught.value.diagnostics]
    assert codes == [("M401", "`a`"), ("M401", "`c`"), ("M404", "`d`"), ("M401", "`e`")]
    assert caught.value.diagnostics[2].hint.startswith("say `--insecure`")


@pytest.mark.parametrize(
    ("host", "advertise", "told"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:{port}"),
        ("127.0.0.1", "mesh.example", "http://mesh.example:{port}"),
        ("127.0.0.1", "mesh.example:80", "http://mesh.example:80"),
        ("0.0.0.0", "", f"http://{outgoing_host()}:{{port}}"),  # noqa: S104
        ("0.0.0.0", "mesh.example", "http://mesh.example:{port}"),  # noqa: S104
        ("::1", "", "http://[::1]:{port}"),
    ],
)
def test_what_others_are_told(host: str, advertise: str, told: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    one = addresses(insecure=True)
    spec = process(AgentSpec(name="a", host=host, advertise=advertise))
    ports = one.own(spec, None, {})
    [post] = one.posts(spec, 1, ports, {})
    assert post.endpoint == told.format(port=ports["a"].endpoint.port)
    close(*ports.values())


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_name_of_the_place_that_is_too_long() -> None:
    one = addresses(node="n" * 60)
    spec = process(AgentSpec(name="a" * 63))
    ports = one.own(spec, None, {})
    with pytest.raises(DaemonError) as caught:
        one.posts(spec, 1, ports, {})
    assert caught.value.hint == "choose a shorter name in `MESHD_NODE`"
    close(*ports.values())
