"""What `meshd run` prints while the mesh runs, where there is no terminal to draw on: lines."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from meshd.cli.mesh import announce_mesh
from meshd.cli.output import is_colourful, painted, report, say
from meshd.cli.standing import change_lines, missing
from meshd.daemon.admin import Administered
from meshd.daemon.generations import Outcome
from meshd.daemon.log_lines import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.diagnostics.model import Diagnostic

REMIND_SECONDS = 10.0


class PlainAudience:
    """Prints lines: the mesh when it is ready, what instances print, and what happens."""

    def __init__(
        self,
        source: Source,
        stages: Stages,
        state_directory: Path,
        *,
        until_ready: bool = False,
    ) -> None:
        """Take what is to be told; `until_ready`: afterwards instances print to files only."""
        self._source = source
        self._stages = stages
        self._state_directory = state_directory
        self._until_ready = until_ready
        self._is_colourful = is_colourful(sys.stderr)
        self._is_ready = False
        self._daemon: Administered | None = None
        self._reminder: asyncio.TimerHandle | None = None
        self._starting = "checking the manifests …"

    @property
    def starting(self) -> str:
        """What takes its time, in words, or nothing; may be asked in any thread."""
        return self._starting

    def begins(self, daemon: Administered) -> None:
        """Keep the daemon, to ask it."""
        self._daemon = daemon
        count = len(daemon.view()["agents"])
        self._starting = f"starting {count} agent{'' if count == 1 else 's'} …"
        self._remind()

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        """Print warnings."""
        report(warnings, self._source.texts, "text")

    def ready(self) -> None:
        """Print the mesh."""
        self._is_ready = True
        self._starting = ""
        self._forget_reminder()
        announce_mesh(
            self.daemon.view(),
            self.daemon.tool,
            self._state_directory,
            stages=self._stages.finished,
        )

    def note(self, text: str) -> None:
        """Print what happened."""
        say(f"meshd: {text}")

    def line(self, line: LogLine) -> None:
        """Print what an instance printed, with its name."""
        if not (self._until_ready and self._is_ready):
            name = painted(line.instance) if self._is_colourful else line.instance
            say(f"{name} | {line.text}")

    def changed(self) -> None:
        """Print nothing: what matters comes as a note."""

    def applied(self, outcome: Outcome) -> None:
        """Print what came of a reload."""
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

    def _remind(self) -> None:
        """Say from time to time what has not started yet."""
        if self._reminder is not None:
            lacking = missing(self.daemon.status())
            say(f"still starting: {'; '.join(lacking[1:]) or lacking[0]}")
        loop = asyncio.get_running_loop()
        self._reminder = loop.call_later(REMIND_SECONDS, self._remind)

    def _forget_reminder(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
