"""Every case in golden/: manifests, a line of ten hyphens, and the report on them, word by word.

A case may hold several files, each after a line `### NAME`, and say `### env NAME=VALUE` and
`### mode now` before them. `python -m tests.test_golden` writes the reports anew; read the diff.
"""

import re
from pathlib import Path

import pytest

from meshd.diagnostics.render import as_text
from meshd.manifest.interpolate import Mode
from tests.manifest.reading import FakeInputs, manifests

CASES = sorted((Path(__file__).parent / "golden").glob("*.case"))
RULER = "-" * 10


def report(case: str) -> str:
    """Return the report on the manifests of a case."""
    given = case.partition(f"\n{RULER}\n")[0] + "\n"
    environment: dict[str, str] = {}
    mode = Mode.LATER
    texts: dict[str, str] = {}
    for part in re.split(r"^### ", given, flags=re.MULTILINE):
        head, _, body = part.partition("\n")
        if found := re.fullmatch(r"env (\w+)=(.*)", head):
            environment[found[1]] = found[2]
        elif head == "mode now":
            mode = Mode.NOW
        elif re.fullmatch(r"[\w/]+\.ya?ml", head):
            texts[head] = body
        elif part.strip():
            texts["mesh.yaml"] = part
    read = manifests(texts, FakeInputs(environment), mode)
    return as_text(read.diagnostics, read.sources) or "no diagnostics"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_report(path: Path) -> None:
    case = path.read_text(encoding="utf-8")
    assert report(case) == case.partition(f"\n{RULER}\n")[2].removesuffix("\n")


def test_there_are_cases() -> None:
    assert len(CASES) >= 30


def main() -> None:
    """Write the report of every case."""
    for path in CASES:
        case = path.read_text(encoding="utf-8")
        given = case.partition(f"\n{RULER}\n")[0].rstrip("\n")
        path.write_text(f"{given}\n{RULER}\n{report(case)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
