"""One run of the official MCP conformance suite against a server, as verdicts by check."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.tools.node import npm_program

RUNS = {
    "2025-11-25": ("--requirements", "2025-11-25"),
    "2026-07-28": ("--requirements", "2026-07-28"),
    "all": ("--suite", "all"),
}
"""What the suite is asked for, by a name of ours."""

_FOLDER = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
_ORDER = ("FAILURE", "WARNING", "SKIPPED", "INFO", "SUCCESS")
"""Worst first: a check that is made several times counts as its worst."""

Check = tuple[str, str]
"""A scenario, and a check in it."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the suite says of a server."""

    statuses: Mapping[Check, str]
    reasons: Mapping[Check, str]

    def with_status(self, status: str) -> set[Check]:
        """Return the checks that ended so."""
        return {check for check, each in self.statuses.items() if each == status}

    @property
    def passed(self) -> set[Check]:
        """The checks that passed."""
        return self.with_status("SUCCESS")

    @property
    def failed(self) -> set[Check]:
        """The checks that failed."""
        return self.with_status("FAILURE")

    def __str__(self) -> str:
        counts = Counter(self.statuses.values())
        return ", ".join(f"{counts[status]} {status.lower()}" for status in reversed(_ORDER))


def verdicts(url: str, run: str, folder: Path) -> Verdicts:
    """Run the suite against the MCP endpoint; `folder` receives its reports."""
    command = [*npm_program("conformance"), "server", "--url", url, *RUNS[run], "-o", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    statuses: dict[Check, str] = {}
    reasons: dict[Check, str] = {}
    for report in sorted(folder.glob("*/checks.json")):
        match = _FOLDER.fullmatch(report.parent.name)
        assert match is not None, report
        for entry in json.loads(report.read_text()):
            check = (match["scenario"], entry["id"])
            worst = min(statuses.get(check, "SUCCESS"), entry["status"], key=_ORDER.index)
            statuses[check] = worst
            if entry["status"] == "FAILURE":
                reasons[check] = entry.get("errorMessage", "")
    assert statuses, f"the suite made no report:\n{done.stdout}\n{done.stderr}"
    return Verdicts(statuses, reasons)
