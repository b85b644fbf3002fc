import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.runtime.event_stream import EventReader

STREAM = (
    b': ping\r\nevent: message\r\ndata: {"a": 1}\r\n\r\ndata:x\rdata: y\r\rid: 3\n\ndata: z\n\n'
)
EVENTS = [b'{"a": 1}', b"x\ny", b"z"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_wherever_chunks_end(places: list[int]) -> None:
    reader = EventReader()
    ends = [0, *sorted(places), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(ends)]
    assert [event for chunk in chunks for event in reader.feed(chunk)] == EVENTS
    assert reader.held_bytes == 0


@pytest.mark.parametrize(
    "chunk", [b"", b"data", b"data: 1\n", b"data: 1\n\r", b": only a word\n\n"]
)
def test_what_does_not_end_is_no_event(chunk: bytes) -> None:
    assert EventReader().feed(chunk) == []


def test_what_is_held_is_known() -> None:
    reader = EventReader()
    reader.feed(b"data: 123\ndata: 45")
    assert reader.held_bytes == len(b"123") + len(b"data: 45")
