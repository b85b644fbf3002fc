"""What `meshd run` shows on a terminal: the instances with their states, and lines scroll above.

Drawn from the event loop that supervises: at most a few times a second, and only if there is
something new to see.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from meshd.cli.audience import PlainAudience, unheard
from meshd.cli.mesh import state_option
from meshd.cli.output import NAME_COLOURS, name_colour
from meshd.cli.standing import STYLES, Row, missing, rows
from meshd.daemon.admin import Administered
from meshd.daemon.generations import Outcome
from meshd.daemon.log_lines import LogLine
from meshd.daemon.source import Source
from meshd.daemon.stages import Stages
from meshd.diagnostics.model import Diagnostic

SECONDS_BETWEEN_DRAWINGS = 0.25

LINES_PER_DRAWING = 500
"""More than that nobody reads, and the loop has other things to do."""

LEAST_ROWS = 4

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {"starting": SPINNER, "ready": "●", "stopped": "○", "failed": "✗", "stopping": SPINNER}
PLAIN_MARKS = {
    "starting": "|/-\\",
    "ready": "*",
    "stopped": "-",
    "failed": "x",
    "stopping": "|/-\\",
}


class Terminal(Console):
    """A console that leaves the cursor alone: who is killed cannot bring it back."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: FBT001, FBT002  (as rich has it)
        """Do nothing."""
        return not show


class LiveAudience(PlainAudience):
    """Draws the mesh at the bottom of the terminal that standard error is."""

    def __init__(
        self, source: Source, stages: Stages, state_directory: Path, terminal: Console
    ) -> None:
        super().__init__(source, stages, state_directory)
        self._terminal = terminal
        self._hint = f"Ctrl-C stops; `meshd status{state_option(state_directory)}` tells more"
        self._live: Live | None = None
        self._drawing: RenderableType = Text()
        self._lines: list[Text] = []
        self._left_out = 0
        self._timer: asyncio.TimerHandle | None = None
        self._drawn_at = 0.0
        self._shown: object = None
        self._turn = 0

    def __rich__(self) -> RenderableType:
        """Return what is drawn below whatever is printed."""
        return self._drawing

    def begins(self, daemon: Administered) -> None:
        """Begin to draw."""
        super().begins(daemon)
        self._forget_reminder()
        self._show()

    def warned(self, warnings: tuple[Diagnostic, ...]) -> None:
        """Print warnings above the drawing."""
        self._beneath(lambda: super(LiveAudience, self).warned(warnings))

    def ready(self) -> None:
        """Print the mesh as every run does, and go on drawing below."""
        self._beneath(super().ready)

    def applied(self, outcome: Outcome) -> None:
        """Print what came of a reload above the drawing."""
        self._beneath(lambda: super(LiveAudience, self).applied(outcome))
        self._wake()

    def note(self, text: str) -> None:
        """Print what happened above the drawing."""
        self._add(Text(f"meshd: {text}", "bold"))

    def line(self, line: LogLine) -> None:
        """Print what an instance printed above the drawing, with its name in its colour."""
        name = (line.instance, NAME_COLOURS[name_colour(line.instance)])
        self._add(Text.assemble(name, " | ", line.text))

    def changed(self) -> None:
        """Look at the mesh again, soon."""
        self._wake()

    def close(self) -> None:
        """Take the drawing away, and print what is left."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
        self._hide()

    def _add(self, text: Text) -> None:
        if len(self._lines) < LINES_PER_DRAWING:
            self._lines.append(text)
        else:
            self._left_out += 1
        self._wake()

    def _wake(self) -> None:
        """Draw as soon as the last drawing is old enough."""
        if self._live is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            wait_seconds = self._drawn_at + SECONDS_BETWEEN_DRAWINGS - loop.time()
            self._timer = loop.call_later(max(wait_seconds, 0), self._draw)

    def _draw(self) -> None:
        self._timer = None
        if self._live is None:
            return
        self._drawn_at = asyncio.get_running_loop().time()
        status = self.daemon.status()
        seen = (status["phase"], status["generation"], status["registry"], rows(status))
        is_moving = status["phase"] != "running" or any(row.status == "starting" for row in seen[3])
        if is_moving or self._lines or seen != self._shown:
            self._turn += is_moving
            self._drawing = self._drawn(status)
            with unheard():
                if self._lines:
                    self._print_lines()
                else:
                    self._live.refresh()
        self._shown = seen
        if is_moving:
            self._wake()

    def _print_lines(self) -> None:
        """Print lines, which draws as well."""
        lines, self._lines = self._lines, []
        if self._left_out:
            lines.append(Text(f"meshd: {self._left_out} lines are only in the logs", "bold"))
            self._left_out = 0
        if lines:
            self._terminal.print(Text("\n").join(lines), overflow="fold")

    def _show(self) -> None:
        self._drawing = Text()
        self._live = Live(
            self,
            console=self._terminal,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        with unheard():
            self._live.start()
        self._shown = None
        self._wake()

    def _hide(self) -> None:
        live, self._live = self._live, None
        with unheard():
            if live is not None:
                live.stop()
            self._print_lines()

    def _beneath(self, talk: Callable[[], None]) -> None:
        """Let something be printed where the drawing is, and draw again below."""
        was_shown = self._live is not None
        self._hide()
        talk()
        if was_shown:
            self._show()

    def _drawn(self, status: dict[str, Any]) -> RenderableType:
        listed = rows(status)
        room = max(LEAST_ROWS, self._terminal.height // 2)
        shown = listed if len(listed) <= room else _worst(listed, room - 1)
        table = Table.grid(padding=(0, 2))
        for row in shown:
            table.add_row(
                self._mark(row.status),
                Text(row.instance or row.agent, NAME_COLOURS[name_colour(row.instance)]),
                Text(row.status, STYLES.get(row.status, "")),
                Text(f"restarts {row.restarts}" if row.restarts else "", "dim"),
                Text(row.why, no_wrap=True, overflow="ellipsis"),
            )
        parts: list[RenderableType] = [Text(), table]
        if len(shown) < len(listed):
            parts.append(Text(_rest(listed, shown), "dim"))
        return Group(*parts, self._foot(status))

    def _foot(self, status: dict[str, Any]) -> Text:
        """Return the line below the instances: how the mesh fares as a whole."""
        phase, registry = status["phase"], status["registry"]
        lacking = missing(status)
        state = "ready" if not lacking else "running, not ready" if phase == "running" else phase
        where = f"registry {registry['url']}" if registry["url"] else "no registry"
        if registry["status"] not in ("ready", "external"):
            why = f" ({registry['reason']})" if registry["reason"] else ""
            where += f" is {registry['status']}{why}"
        mark = self._mark("ready" if not lacking else "waiting" if phase == "running" else phase)
        foot = Text.assemble(mark, "  ", (f"mesh {state}", "bold"), f"   {where}   ", self._hint)
        foot.no_wrap, foot.overflow = True, "ellipsis"
        return foot

    def _mark(self, status: str) -> Text:
        is_unicode = self._terminal.encoding.startswith("utf")
        marks = (MARKS if is_unicode else PLAIN_MARKS).get(status, "▲" if is_unicode else "!")
        return Text(marks[self._turn % len(marks)], STYLES.get(status, ""))


def wants_live_view(terminal: Console, *, plain: bool) -> bool:
    """Say whether to draw: on a terminal that can, and not where lines are wanted."""
    return sys.stderr.isatty() and not terminal.is_dumb_terminal and not plain


def _worst(listed: Sequence[Row], count: int) -> list[Row]:
    """Return so many rows, those first that there is something to say about; order is kept."""
    ordered = sorted(range(len(listed)), key=lambda index: listed[index].is_fine)
    return [listed[index] for index in sorted(ordered[: max(count, 0)])]


def _rest(listed: Sequence[Row], shown: Sequence[Row]) -> str:
    """Return how many of which state are not shown, such as `and 3 ready, 1 waiting`."""
    rest = [row.status for row in listed]
    for row in shown:
        rest.remove(row.status)
    return "and " + ", ".join(f"{rest.count(status)} {status}" for status in dict.fromkeys(rest))
