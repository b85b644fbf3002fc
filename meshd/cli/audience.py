"""What `meshd run` prints while the mesh runs, where there is no terminal to draw on: lines."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from meshd.cli.mesh import announce_mesh
from meshd.cli.output import is_colourful, painted, report, say
from meshd.cli.standing import change_lines, few, missing
from meshd.daemon.admin import Administered
from meshd.daemon.generations import Outcome
from meshd.daemon.log_lines import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.diagnostics.model import Diagnostic

SILENT_SECONDS = 1.0
REMIND_SECONDS = 10.0


class PlainAudience:
    """Prints lines: the mesh when it is ready, what instances print, and what happens."""

    def __init__(
        self,
        source: Source,
        stages: Stages,
        state_directory: Path,
        *,
        detached: bool = False,
    ) -> None:
        """Take what there is to tell of.

        Detached, nothing is said of what takes long, which the command that waits does; and what
        instances print once the mesh is ready is in their logs only.
        """
        self._source = source
        self._stages = stages
        self._state_directory = state_directory
        self._is_detached = detached
        self._is_colourful = is_colourful(sys.stderr)
        self._is_ready = False
        self._daemon: Administered | None = None
        self._reminder: asyncio.TimerHandle | None = None

    @property
    def before_begin(self) -> str:
        """What takes its time before the daemon begins, or nothing; for any thread to ask."""
        is_said = self._is_detached or self._daemon is not None
        return "" if is_said else "checking the manifests …"

    def begins(self, daemon: Administered) -> None:
        """Keep the daemon, to ask it."""
        self._daemon = daemon
        if not self._is_detached:
            self._remind_after(SILENT_SECONDS, starting_words(daemon.status()))

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        """Print warnings."""
        report(warnings, self._source.texts, "text")

    def ready(self) -> None:
        """Print the mesh."""
        self._is_ready = True
        self._forget_reminder()
        announce_mesh(
            self.daemon.view(),
            self.daemon.tool,
            self._state_directory,
            stages=self._stages.finished,
        )

    def note(self, text: str) -> None:
        """Print what happened."""
        with unheard():
            say(f"meshd: {text}")

    def line(self, line: LogLine) -> None:
        """Print what an instance printed, with its name."""
        if not (self._is_detached and self._is_ready):
            name = painted(line.instance) if self._is_colourful else line.instance
            with unheard():
                say(f"{name} | {line.text}")

    def changed(self) -> None:
        """Print nothing: what matters comes as a note."""

    def applied(self, outcome: Outcome) -> None:
        """Print what came of a reload."""
        with unheard():
            report(outcome.diagnostics, outcome.sources, "text")
        found: dict[str, Any] = outcome.changes.as_values() if outcome.changes else {}
        for text in change_lines(found):
            self.note(text)
        self.note(f"reload: {outcome.result}")

    def close(self) -> None:
        """Print no more by itself."""
        self._forget_reminder()

    @property
    def daemon(self) -> Administered:
        """The daemon, which has begun."""
        assert self._daemon is not None  # noqa: S101  (`begins` comes first)
        return self._daemon

    def _remind_after(self, seconds: float, words: str) -> None:
        """Say what is being started when it takes long, and from then on what is missing."""

        def remind() -> None:
            with unheard():
                say(words)
            lacking = missing(self.daemon.status())
            self._remind_after(REMIND_SECONDS, f"still starting: {few(lacking[1:] or lacking)}")

        self._reminder = asyncio.get_running_loop().call_later(seconds, remind)

    def _forget_reminder(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()


def unheard() -> AbstractContextManager[None]:
    """Let the mesh live on when its terminal, or who read what it says, has gone."""
    return suppress(OSError)


def starting_words(status: Mapping[str, Any]) -> str:
    """Return how many agents are being started."""
    count = len(status["agents"])
    return f"starting {count} agent{'' if count == 1 else 's'} …"
