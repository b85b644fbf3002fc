"""Server-sent events out of bytes, as they come (https://html.spec.whatwg.org/#event-stream).

Lines may end with CR, LF or both, and chunks may end anywhere. Only the data of events is of use.
"""

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventReader:
    """Takes chunks, and gives back the data of the events that they complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that ends in the chunk."""
        self._rest += chunk
        complete: list[bytes] = []
        start = 0
        while end := _LINE_END.search(self._rest, max(start, self._searched)):
            if end.group() == b"\r" and end.end() == len(self._rest):
                break  # the other half of the line's end may come with the next chunk
            self._line(bytes(self._rest[start : end.start()]), complete)
            start = self._searched = end.end()
        del self._rest[:start]
        # A long line that comes in many chunks is searched once only.
        self._searched = max(0, len(self._rest) - 1)
        return complete

    @property
    def held_bytes(self) -> int:
        """How much is waiting for its end."""
        return len(self._rest) + sum(map(len, self._data))

    def _line(self, line: bytes, complete: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            complete.append(b"\n".join(self._data))
            self._data.clear()
