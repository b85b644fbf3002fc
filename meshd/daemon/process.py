"""What a forked process of the mesh does: it receives sockets and a job, and does the job.

It ends when its job is done, when the daemon tells it to, and when the daemon is gone. Importing
this module imports all that a process needs besides the user's code.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from io import TextIOWrapper
from typing import NoReturn

import uvloop

from meshd.clock import SystemClock
from meshd.daemon.channel import (
    Closed,
    ProcessEnd,
    process_end,
    receive_job,
    receive_sockets,
    send_report,
)
from meshd.daemon.garbage import tune_garbage_collection
from meshd.daemon.instances import Instances
from meshd.daemon.linux import die_with, kill_descendants
from meshd.daemon.messages import (
    LINGER_SECONDS,
    Drain,
    InstanceJob,
    Loaded,
    Ready,
    Refused,
    RegistryJob,
    Report,
    Serve,
)
from meshd.daemon.prepare import Loading, load
from meshd.daemon.registry import GC_THRESHOLDS, open_store, serving_registry
from meshd.diagnostics.model import has_errors
from meshd.errors import InvalidInput
from meshd.settings import enter_environment

LOG_FORMAT = "%(levelname)-7s %(name)s: %(message)s"
"""Without the time, which the daemon writes before each line."""
_DONE, _REFUSED, _INTERNAL = 0, 1, 70


def run(channel: socket.socket, daemon: int) -> NoReturn:
    """Do the job and end the process; `daemon` is the id of the process to end with."""
    status = _INTERNAL
    try:
        status = _do_job(channel, daemon)
    except Closed:
        status = _REFUSED
    except BaseException:
        logging.getLogger("meshd").exception("the process fails")
    finally:
        # As an interpreter that ends does, without the cost of taking the heap apart; threads of
        # callables that still run are not waited for.
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)


def _do_job(channel: socket.socket, daemon: int) -> int:
    sockets = receive_sockets(channel)
    job = receive_job(channel)
    # The daemon sends a job only when this process is its child.
    if not die_with(daemon):
        return _REFUSED
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO if job.verbose else logging.WARNING, format=LOG_FORMAT
    )
    if isinstance(job, RegistryJob):
        tune_garbage_collection(GC_THRESHOLDS)
        return uvloop.run(_serve_registry(job, channel, sockets[0], daemon))
    return _serve_instances(job, channel, sockets, daemon)


def _serve_instances(
    job: InstanceJob, channel: socket.socket, sockets: Sequence[socket.socket], daemon: int
) -> int:
    enter_environment(job.environment)
    loading = load([post.agent for post in job.posts], job.project)
    if has_errors(loading.diagnostics):
        send_report(channel, Refused(diagnostics=loading.diagnostics, files=loading.files))
        return _REFUSED
    send_report(
        channel,
        Loaded(signatures=loading.signatures, warnings=loading.diagnostics, files=loading.files),
    )
    return uvloop.run(_serve_loaded(job, loading, channel, sockets, daemon))


async def _serve_loaded(
    job: InstanceJob,
    loading: Loading,
    channel: socket.socket,
    sockets: Sequence[socket.socket],
    daemon: int,
) -> int:
    end = await process_end(channel)
    order = await end.order()
    if not isinstance(order, Serve):
        return _DONE
    spare = iter(sockets)
    listeners = {post.instance: [next(spare) for _ in range(post.sockets)] for post in job.posts}
    async with _reporting(end) as report:
        instances = Instances(
            job.posts,
            loading,
            registry_url=order.registry_url,
            grace_seconds=job.grace_seconds,
            report=report,
            clock=SystemClock(),
        )
        try:
            async with instances.running(listeners):
                await end.report(Ready(stages=instances.stages.as_mapping()))
                told = await _told_to_end(end, daemon)
                await instances.drain(told.reason, told.linger_seconds)
        except InvalidInput as error:
            await end.report(Refused(diagnostics=error.diagnostics, files=loading.files))
            return _REFUSED
    return _DONE


async def _serve_registry(
    job: RegistryJob, channel: socket.socket, listener: socket.socket, daemon: int
) -> int:
    end = await process_end(channel)
    store = open_store(job.store)
    clock = SystemClock()
    async with serving_registry(store, listener, job.host, clock, any_host=False) as keeper:
        await end.report(Ready(problem=keeper.problem or ""))
        await _told_to_end(end, daemon)
    return _DONE


async def _told_to_end(end: ProcessEnd, daemon: int) -> Drain:
    """Wait for the order to drain, or for SIGTERM, which is one."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Drain] = loop.create_future()

    def terminated() -> None:
        if os.getppid() != daemon:
            _end_with_daemon()
        if not told.done():
            told.set_result(Drain(reason="terminated", linger_seconds=LINGER_SECONDS))

    async def listen() -> None:
        try:
            while not told.done():
                order = await end.order()
                if isinstance(order, Drain) and not told.done():
                    told.set_result(order)
        except Closed:
            _end_with_daemon()

    loop.add_signal_handler(signal.SIGTERM, terminated)
    listening = asyncio.ensure_future(listen())
    try:
        return await told
    finally:
        listening.cancel()


def _end_with_daemon() -> NoReturn:
    """End at once, with all that this process has started: nobody is left to wait for it."""
    kill_descendants()
    os._exit(_REFUSED)


@contextlib.asynccontextmanager
async def _reporting(end: ProcessEnd) -> AsyncGenerator[Callable[[Report], None], None]:
    """Send reports in order while the block runs; whoever reports does not wait."""
    waiting: asyncio.Queue[Report] = asyncio.Queue()

    async def send() -> None:
        with contextlib.suppress(Closed):
            while True:
                await end.report(await waiting.get())

    sending = asyncio.ensure_future(send())
    try:
        yield waiting.put_nowait
    finally:
        sending.cancel()
