"""The fork server: a process that has imported meshd and FastMCP, and forks on demand.

It has one thread and no event loop, and never imports user code. A forked process becomes a child
of the daemon, not of the fork server, whose death it survives. When the daemon is gone, however it
went, the fork server kills what the daemon has left, and ends.

Run as `python -m meshd.daemon.fork_server SOCKET DAEMON`; the socket keeps messages apart.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import NoReturn

from meshd.daemon.linux import kill_descendants, kill_trees, set_process_name

MAX_MESSAGE_BYTES = 65_536


def main() -> None:
    """Serve requests until the daemon is gone."""
    daemon = int(sys.argv[2])
    # Its own group: a signal from the terminal is for the daemon alone.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_process_name("meshd:fork")
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _preload()
        guarded: set[int] = set()
        # The daemon may have no use for it any more.
        with contextlib.suppress(ConnectionError):
            requests.send(json.dumps({"ready": os.getpid()}).encode())
            guarded = _serve(requests, daemon)
    kill_trees(guarded)


def _preload() -> None:
    """Import what every process of a mesh needs, and keep the garbage collector from touching it.

    A collection would write to each object's header, and so copy the memory that is shared.
    """
    import meshd.daemon.preload  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]

    gc.collect()
    gc.freeze()


def _serve(requests: socket.socket, daemon: int) -> set[int]:
    """Fork for each request; return the processes to take along when the daemon has gone."""
    guarded: set[int] = set()
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE_BYTES, 2)
        except ConnectionError:
            return guarded
        if not data:
            return guarded
        request = json.loads(data)
        guarded |= set(request.get("guard", ()))
        guarded -= set(request.get("forget", ()))
        if descriptors:
            process = _fork(requests, descriptors, request["name"], daemon)
            guarded.add(process)
            for descriptor in descriptors:
                os.close(descriptor)
            try:
                answer = {"process": process, "number": request["number"]}
                requests.send(json.dumps(answer).encode())
            except OSError:
                return guarded


def _fork(requests: socket.socket, descriptors: list[int], name: str, daemon: int) -> int:
    """Fork twice, so that the process loses its parent and falls to the daemon."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        process = os.fork()
        if process == 0:
            os.close(reading)
            os.close(writing)
            requests.close()
            _become(descriptors, name, daemon)
        os.write(writing, str(process).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        process = int(told.read())
    os.waitpid(between, 0)
    return process


def _become(descriptors: list[int], name: str, daemon: int) -> NoReturn:
    """Be the new process: no input, output into the daemon's pipe, a group of its own."""
    from meshd.daemon.process import run  # noqa: PLC0415

    channel, output = descriptors
    os.setpgid(0, 0)
    set_process_name(name)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    sys.argv = ["meshd", name]
    # Runs last, whatever the end is: a daemon that dies takes its threads down one by one, and the
    # first already sends this process a SIGTERM that looks like any other.
    atexit.register(kill_descendants)
    run(socket.socket(fileno=channel), daemon)


if __name__ == "__main__":
    main()
