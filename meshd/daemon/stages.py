"""The stages of a start, each with its time."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from meshd.clock import Clock


@dataclass(frozen=True, slots=True)
class Stage:
    """One finished stage and how long it took."""

    name: str
    seconds: float


@dataclass(slots=True)
class Stages:
    """Collects finished stages in order."""

    clock: Clock
    finished: list[Stage] = field(default_factory=list[Stage])

    @contextmanager
    def stage(self, name: str) -> Generator[None, None, None]:
        """Time the block as a stage, if it succeeds."""
        start = self.clock.monotonic()
        yield
        self.finished.append(Stage(name, self.clock.monotonic() - start))

    def as_mapping(self) -> dict[str, float]:
        """Return the time of each stage, in seconds."""
        return {stage.name: stage.seconds for stage in self.finished}
