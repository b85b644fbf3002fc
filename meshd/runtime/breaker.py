"""When an upstream is left alone, and when it is tried again. Pure: the time is an argument.

A closed breaker lets every call through. It opens for `open_seconds` after so many failures in a
row, and for a moment, longer each time, when no connection can be made. Then one call at a time is
let through to find out; the first that succeeds closes it. Times are monotonic seconds.
"""

FIRST_REFUSED_SECONDS = 0.1
PROMPT_REFUSED_SECONDS = 1.0
"""The longest pause between connects while an outage is young, since who restarts is back soon."""
RESTART_PATIENCE = 10.0
"""How long an outage counts as a restart, for whose end calls wait."""
TIMEOUT_THAT_COUNTS_SECONDS = 1.0
"""An attempt that had less time than this, and than its own settings give, proves nothing."""


class Breaker:
    """The breaker of one upstream on one edge."""

    __slots__ = (
        "_failed_at",
        "_open_until",
        "_pause",
        "failures",
        "failures_max",
        "is_closed",
        "is_probing",
        "open_seconds",
        "opened",
        "refused_since",
    )

    def __init__(self, failures_max: int, open_seconds: float) -> None:
        self.failures_max = failures_max
        self.open_seconds = open_seconds
        self.is_closed = True
        self.is_probing = False
        self.failures = 0
        """Failures in a row."""
        self.opened = 0
        """How often it opened because of failing calls."""
        self.refused_since: float | None = None
        """Since when no connection can be made, if that is why it is open."""
        self._failed_at = float("-inf")
        self._open_until = 0.0
        self._pause = 0.0

    @property
    def is_failing(self) -> bool:
        """Whether it is open because calls failed, not because nobody answers there."""
        return not self.is_closed and self.refused_since is None

    def state(self, now: float) -> str:
        """Return `closed`, `open` or `half-open`."""
        if self.is_closed:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def admits(self, now: float) -> bool:
        """Say whether a call may be made now."""
        return self.is_closed or (now >= self._open_until and not self.is_probing)

    def next_chance(self) -> float | None:
        """Return when the next call may be made; None while one is finding out."""
        return None if self.is_probing else self._open_until

    def is_restarting(self, now: float) -> bool:
        """Say whether it is refused for so short a time that it may be on its way back."""
        return self.refused_since is not None and now - self.refused_since < RESTART_PATIENCE

    def begin(self) -> bool:
        """Note that a call is made; return whether it is the one that finds out."""
        if self.is_closed:
            return False
        self.is_probing = True
        return True

    def end(self, *, was_probe: bool) -> None:
        """Note that a call ended without a verdict, such as one that was cancelled."""
        if was_probe:
            self.is_probing = False

    def succeeded(self) -> None:
        """Note that the upstream answered; what it answered does not matter."""
        self.is_closed = True
        self.is_probing = False
        self.failures = 0
        self.refused_since = None
        self._pause = 0.0

    def failed(self, now: float, *, began: float, was_probe: bool = False) -> None:
        """Note a call without an answer that began at some time.

        Calls under way when a connection breaks fail together: that is one failure.
        """
        self.end(was_probe=was_probe)
        if began < self._failed_at and not was_probe:
            return
        self._failed_at = now
        self.failures += 1
        if was_probe or (self.is_closed and self.failures >= self.failures_max):
            self.opened += 1
            self.is_closed = False
            self.refused_since = None
            self._open_until = now + self.open_seconds

    def refused(self, now: float, *, was_probe: bool = False) -> None:
        """Note that no connection could be made."""
        self.end(was_probe=was_probe)
        if self.is_failing and not was_probe:
            return
        if not self.is_closed and not was_probe and now < self._open_until:
            return  # it was made before the pause began
        if self.refused_since is None:
            self.refused_since = now
            self._pause = FIRST_REFUSED_SECONDS
        else:
            self._pause *= 2
        most = PROMPT_REFUSED_SECONDS if self.is_restarting(now) else self.open_seconds
        self._pause = min(self._pause, max(most, FIRST_REFUSED_SECONDS))
        self.is_closed = False
        self._open_until = now + self._pause

    def hope(self, now: float) -> None:
        """Allow the next call at once if nobody answered: something has changed there."""
        if self.refused_since is not None:
            self._open_until = min(self._open_until, now)
            self._pause = FIRST_REFUSED_SECONDS
