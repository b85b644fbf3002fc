"""What `meshd run` prints while the mesh runs."""

from collections.abc import Iterable
from pathlib import Path

from meshd.cli.mesh import announce_mesh
from meshd.cli.output import report, say
from meshd.daemon.admin import Administered
from meshd.daemon.generations import Outcome
from meshd.daemon.logs import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.diagnostics.model import Diagnostic


class PlainAudience:
    """Prints lines: the mesh when it is ready, what instances print, and what happens."""

    def __init__(
        self, source: Source, stages: Stages, state_directory: Path, *, verbose: bool
    ) -> None:
        self._source = source
        self._stages = stages
        self._state_directory = state_directory
        self._verbose = verbose
        self._daemon: Administered | None = None

    def begins(self, daemon: Administered) -> None:
        """Keep the daemon, to ask it."""
        self._daemon = daemon

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        """Print warnings."""
        report(warnings, self._source.texts, "text")

    def ready(self) -> None:
        """Print the mesh."""
        assert self._daemon is not None  # noqa: S101  (`begins` comes first)
        announce_mesh(self._daemon, self._stages.finished, self._state_directory)

    def note(self, text: str) -> None:
        """Print what happened."""
        say(f"meshd: {text}")

    def line(self, line: LogLine) -> None:
        """Print what an instance printed, with its name."""
        say(f"{line.instance} | {line.text}")

    def changed(self) -> None:
        """Print nothing: what matters comes as a note."""

    def applied(self, outcome: Outcome) -> None:
        """Print what came of a reload."""
        report(outcome.diagnostics, outcome.sources, "text")
        self.note(f"reload: {outcome.result}{_changes(outcome)}")


def _changes(outcome: Outcome) -> str:
    found: Iterable[str] = outcome.changes.in_words() if outcome.changes else ()
    return "".join(f"; {text}" for text in found)
