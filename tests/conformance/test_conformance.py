"""The official MCP conformance suite: meshd passes every check that plain FastMCP passes."""

import fnmatch
import sys
from pathlib import Path

import pytest

from tests.conformance.suite import RUNS, Check, Verdicts, verdicts

pytestmark = pytest.mark.conformance
HERE = Path(__file__).parent


def known_failures(run: str) -> list[str]:
    """Return the patterns of known_failures.txt for the run, as `SCENARIO CHECK`."""
    lines = (HERE / "known_failures.txt").read_text().splitlines()
    entries = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    return [pattern for runs, pattern in entries if run in runs.split(",")]


def matching(pattern: str, checks: set[Check]) -> set[Check]:
    return {check for check in checks if fnmatch.fnmatchcase(" ".join(check), pattern)}


def listing(checks: set[Check], reasons: Verdicts) -> str:
    return "\n".join(
        f"  {scenario} {check}: {reasons.reasons.get((scenario, check), '')}"
        for scenario, check in sorted(checks)
    )


@pytest.mark.parametrize("run", RUNS)
def test_meshd_passes_what_plain_fastmcp_passes(
    run: str,
    meshd_url: str,
    fastmcp_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = verdicts(fastmcp_url, run, tmp_path / "fastmcp")
    ours = verdicts(meshd_url, run, tmp_path / "meshd")

    with capsys.disabled():
        sys.stdout.write(f"\nconformance {run}: meshd {ours}\n")
        sys.stdout.write(f"{' ' * len(run)} plain FastMCP {theirs}\n")
    lost = theirs.passed - ours.passed
    assert not lost, f"plain FastMCP passes what meshd does not:\n{listing(lost, ours)}"
    known = {pattern: matching(pattern, ours.failed) for pattern in known_failures(run)}
    unknown = ours.failed.difference(*known.values())
    assert not unknown, f"not in known_failures.txt:\n{listing(unknown, ours)}"
    mended = [pattern for pattern, failures in known.items() if not failures]
    assert not mended, f"these pass now; delete them from known_failures.txt: {mended}"
