"""The fork server's side of the conversation."""

# pyright: reportPrivateUsage=false

import json
import os
import signal
import socket
import sys

import pytest

from meshd.daemon import fork_server


def nothing(*_: object) -> None:
    """Instead of what would change the process of the tests."""


def test_requests_are_answered_until_the_daemon_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    forked: list[tuple[int, str, int]] = []

    def fork(_: socket.socket, descriptors: list[int], name: str, daemon: int) -> int:
        forked.append((len(descriptors), name, daemon))
        return 100 + len(forked)

    monkeypatch.setattr(fork_server, "_fork", fork)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for number, name in enumerate(["a-1", "b-1", "c-1"], 1):
            request = json.dumps({"name": name, "number": number}).encode()
            socket.send_fds(ours, [request], [0, 1])
        ours.send(b'{"guard": [7, 8]}')
        ours.send(b'{"forget": [101, 8]}')
        ours.shutdown(socket.SHUT_WR)
        guarded = fork_server._serve(theirs, 99)
        answers = [json.loads(ours.recv(1000)) for _ in range(3)]
    assert forked == [(2, "a-1", 99), (2, "b-1", 99), (2, "c-1", 99)]
    assert answers == [{"process": 100 + n, "number": n} for n in (1, 2, 3)]
    assert guarded == {102, 103, 7}


def test_a_daemon_that_goes_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def fork(*_: object) -> int:
        ours.close()
        return 5

    monkeypatch.setattr(fork_server, "_fork", fork)
    socket.send_fds(ours, [b'{"name": "a-1", "number": 1}'], [0, 1])
    with theirs:
        assert fork_server._serve(theirs, 99) == {5}


def test_a_forked_process_is_an_orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(descriptors: list[int], name: str, daemon: int) -> None:
        os.write(descriptors[0], f"{name} {daemon} {os.getpid()}".encode())
        os._exit(0)

    monkeypatch.setattr(fork_server, "_become", become)
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = fork_server._fork(theirs, [writing, writing], "a-1", 99)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == f"a-1 99 {process}"


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_ready_when_it_has_imported_and_kills_what_it_guards(
    monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    killed: list[set[int]] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setattr(fork_server, "_preload", lambda: None)
    monkeypatch.setattr(fork_server, "kill_trees", killed.append)
    monkeypatch.setattr(fork_server, "set_process_name", nothing)
    monkeypatch.setattr(os, "setpgid", nothing)
    monkeypatch.setattr(sys, "argv", ["fork_server", str(theirs.detach()), "99"])
    before = signal.getsignal(signal.SIGINT)
    with ours:
        if is_there:
            ours.send(b'{"guard": [7]}')
            ours.shutdown(socket.SHUT_WR)
        else:
            ours.close()
        fork_server.main()
        if is_there:
            assert json.loads(ours.recv(1000)) == {"ready": os.getpid()}
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, before)
    assert killed == [{7} if is_there else set()]
