"""Nothing that takes more than a second is silent."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from meshd.cli.output import say

SECONDS = 1.0


class saying:  # noqa: N801  (reads as what a `with` does)
    """Say what is being done if the block takes long.

    The text may be made when it is needed; if there is none by then, nothing is said.
    """

    def __init__(self, text: str | Callable[[], str], seconds: float = SECONDS) -> None:
        self._text = text
        # A thread, because what takes long may leave an event loop no turn.
        self._timer = threading.Timer(seconds, self._late)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    def _late(self) -> None:
        text = self._text if isinstance(self._text, str) else self._text()
        if text:
            say(text)
