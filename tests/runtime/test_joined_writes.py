"""What goes out in one packet, and what at once."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from meshd.runtime.joined_writes import MAX_JOINED_BYTES, JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@dataclass
class FakeTransport:
    """Notes what is done to it."""

    done: list[bytes | str] = field(default_factory=list[bytes | str])

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done


@dataclass
class FakeCycle:
    """An answer whose head has just been made."""

    response_started: bool = True
    chunked_encoding: bool | None = False
    expected_content_length: int = 2
    scope: dict[str, Any] = field(default_factory=lambda: {"method": "POST"})


def joined(cycle: FakeCycle | None) -> tuple[JoinedWrites, list[bytes | str]]:
    transport = FakeTransport()
    made = JoinedWrites(cast("Any", transport))
    made.cycle = cycle
    return made, transport.done


def test_a_head_and_the_beginning_of_its_body_go_out_together() -> None:
    writes, done = joined(FakeCycle())
    writes.write(HEAD)
    assert done == []
    writes.write(b"o")
    writes.write(b"k")
    assert done == [HEAD + b"o", b"k"]


def test_so_do_those_of_the_next_answer() -> None:
    writes, done = joined(FakeCycle())
    for _ in range(2):
        writes.cycle = FakeCycle()
        writes.write(HEAD)
        writes.write(b"ok")
    assert done == [HEAD + b"ok"] * 2


@pytest.mark.parametrize(
    "cycle",
    [
        FakeCycle(chunked_encoding=True),
        FakeCycle(chunked_encoding=None, expected_content_length=0),
        FakeCycle(expected_content_length=0),
        FakeCycle(scope={"method": "HEAD"}),
        None,
    ],
    ids=["a stream", "no content", "an empty body", "no body wanted", "no request"],
)
def test_a_head_that_no_body_certainly_follows_goes_out_at_once(cycle: FakeCycle | None) -> None:
    writes, done = joined(cycle)
    writes.write(HEAD)
    assert done == [HEAD]


def test_leave_to_send_a_body_is_no_head() -> None:
    cycle = FakeCycle(response_started=False)
    writes, done = joined(cycle)
    writes.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    cycle.response_started = True
    writes.write(HEAD)
    writes.write(b"ok")
    assert done == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"ok"]


def test_a_large_body_is_not_copied() -> None:
    body = b"." * (MAX_JOINED_BYTES + 1)
    writes, done = joined(FakeCycle(expected_content_length=len(body)))
    writes.write(HEAD)
    writes.write(body)
    assert done == [HEAD, body]
    assert done[1] is body


def test_an_answer_that_breaks_off_sends_its_head() -> None:
    writes, done = joined(FakeCycle())
    writes.write(HEAD)
    assert not writes.is_closing()
    writes.close()
    assert done == [HEAD, "close"]
    assert writes.is_closing()
