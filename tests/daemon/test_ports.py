"""A port stays taken while nobody listens, refuses at once, and can be listened on again."""

import contextlib
import socket

import pytest

from meshd.daemon.ports import Port, refusal


def connects(port: Port) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((port.endpoint.host, port.endpoint.port)) == 0


def test_it_refuses_until_somebody_listens_and_after_it_is_shut() -> None:
    with contextlib.closing(Port("127.0.0.1", 0)) as port:
        for _ in range(3):
            assert not connects(port)
            port.open()
            with port.duplicate() as listener:
                listener.listen()
                assert connects(port)
            port.shut()
        assert not connects(port)


def test_a_connection_that_waits_is_reset_when_it_is_shut() -> None:
    with contextlib.closing(Port("127.0.0.1", 0)) as port:
        port.open()
        with port.duplicate() as listener, socket.socket() as caller:
            listener.listen()
            caller.connect((port.endpoint.host, port.endpoint.port))
            port.shut()
            caller.settimeout(2)
            with pytest.raises(ConnectionResetError):
                caller.recv(1)


def test_nobody_else_gets_it_while_nobody_listens() -> None:
    with contextlib.closing(Port("127.0.0.1", 0)) as port:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((port.endpoint.host, port.endpoint.port))
        with pytest.raises(OSError, match="in use") as caught:
            Port("127.0.0.1", port.endpoint.port)
    assert refusal(caught.value) == "it is in use"


def test_nagle_is_off_on_what_it_accepts() -> None:
    with contextlib.closing(Port("127.0.0.1", 0)) as port, port.duplicate() as listener:
        assert listener.proto == socket.IPPROTO_TCP
