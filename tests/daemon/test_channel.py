"""Sockets, a job and messages pass between two processes' ends of one socket."""

import asyncio
import socket

import pytest

from meshd.callables.project import Project
from meshd.daemon.channel import (
    Closed,
    daemon_end,
    process_end,
    receive_job,
    receive_sockets,
    send_report,
    send_sockets,
)
from meshd.daemon.messages import (
    Drain,
    InstanceJob,
    Loaded,
    Post,
    Refused,
    RegistryJob,
    Serve,
)
from meshd.diagnostics.model import Diagnostic, Related, Severity, Span
from meshd.domain.signature import Mode, ToolSignature
from meshd.domain.spec import AgentSpec

SPAN = Span("a.yaml", 3, 5, 9)
SIGNATURE = ToolSignature(
    description="Adds \udc80", input_schema={"type": "object"}, output_schema=None, mode=Mode.ASYNC
)


async def test_more_descriptors_than_fit_into_one_message_arrive_in_order() -> None:
    ours, theirs = socket.socketpair()
    made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(450)]
    for one in made:
        one.bind(("127.0.0.1", 0))
    with ours, theirs:
        send_sockets(ours, [one.fileno() for one in made])
        received = await asyncio.to_thread(receive_sockets, theirs)
        assert [one.getsockname() for one in received] == [one.getsockname() for one in made]
    for one in (*made, *received):
        one.close()


async def test_a_job_keeps_its_places_and_hides_its_environment() -> None:
    agent = AgentSpec(name="lone", origin=SPAN, origins={"port": SPAN})
    job = InstanceJob(
        name="lone-1",
        project=Project("/project", ("a.*",)),
        posts=(Post(agent=agent, instance="lone-1", incarnation=7, endpoint="http://h:1"),),
        environment={"TOKEN": "secret"},
        grace_seconds=3.0,
    )
    ours, theirs = socket.socketpair()
    end = await daemon_end(ours)
    received, _ = await asyncio.gather(asyncio.to_thread(receive_job, theirs), end.give(job))

    assert received == job
    assert isinstance(received, InstanceJob)
    assert received.posts[0].agent.at("port") == SPAN
    assert "secret" not in repr(received)
    end.close()
    theirs.close()


async def test_messages_pass_both_ways_and_the_end_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    problem = Diagnostic(
        code="M220",
        message="module `x` not found",
        span=SPAN,
        severity=Severity.WARNING,
        related=(Related(SPAN, "here"),),
        detail="Traceback",
    )
    reports = (
        Loaded(signatures={"a": {"t": SIGNATURE}}, warnings=(problem,), files=("/x.py",)),
        Refused(diagnostics=(problem,)),
    )
    for report in reports:
        send_report(theirs, report)
    daemon, process = await daemon_end(ours), await process_end(theirs)
    for report in reports:
        assert await daemon.report() == report
    for order in (Serve(registry_url="http://r"), Drain(reason="why")):
        await daemon.order(order)
        assert await process.order() == order
    daemon.close()
    with pytest.raises(Closed):
        await process.order()
    process.close()


async def test_what_is_no_message_ends_the_conversation() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"\x00\x00\x00\x02{}")
    daemon = await daemon_end(ours)
    with pytest.raises(Closed):
        await daemon.report()
    daemon.close()
    theirs.close()


def test_a_registry_job_is_a_job_too() -> None:
    assert RegistryJob(host="127.0.0.1", store="memory").verbose is False
