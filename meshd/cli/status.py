"""`meshd status`: how each instance fares, why something waits or fails, and the last reload."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from meshd.cli.mesh import console
from meshd.cli.output import show_json
from meshd.cli.standing import STYLES, Row, problems, rows
from meshd.daemon.client import AdminClient


def show_status(state_directory: Path, style: str) -> int:
    """Print how the mesh fares."""
    status = AdminClient(state_directory).status()
    if style == "json":
        show_json(status)
    else:
        print_status(status, console())
    return 0


def print_status(status: dict[str, Any], out: Console) -> None:
    """Print the mesh, its registry, its instances, and what is wrong."""
    registry = status["registry"]
    head = Table.grid(padding=(0, 2))
    state = styled(status["phase"])
    head.add_row("mesh", state, f"generation {status['generation']}, process {status['pid']}")
    where = " ".join(filter(None, (registry["url"], _aside(registry["reason"]))))
    head.add_row("registry", styled(registry["status"]), escape(where))
    out.print(head)
    out.print()
    listed = rows(status)
    if listed:
        out.print(_table(listed))
        out.print()
    for text in (*problems(status), status["report"]):
        if text:
            # The daemon has made it safe to show, and knows its width.
            out.print(Text(text), soft_wrap=True)
            out.print()


def _table(listed: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    why = ("why",) if any(row.why for row in listed) else ()
    for name in ("agent", "instance", "status", "pid", "restarts", "endpoint", *why):
        fold = name in ("why", "endpoint")
        table.add_column(name, no_wrap=not fold, overflow="fold")
    for row in listed:
        table.add_row(
            escape(row.agent),
            escape(row.instance) or "-",
            styled(row.status),
            str(row.pid or "-"),
            str(row.restarts),
            escape(f"{row.endpoint}/mcp") if row.endpoint else "-",
            *([escape(row.why)] if why else []),
        )
    return table


def styled(status: str) -> Text:
    """Return a state in its colour."""
    return Text(status, STYLES.get(status, ""))


def _aside(reason: str) -> str:
    return f"({reason})" if reason else ""
