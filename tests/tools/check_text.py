"""Fail when a tracked file names a package registry or a folder of somebody's machine.

Clones are built in places that reach other registries, so locks and scripts name packages only.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    "the address of a package registry": re.compile(
        r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|registry[.]yarnpkg|deb[.]debian[.]org"
    ),
    "an option that chooses a package registry": re.compile(
        r"--(?:extra-)?(?:index|registry)(?:-url)?[= ]|--find[-]links|\"resolved\":"
    ),
    "a folder of somebody's machine": re.compile(r"(?<![\w.$}-])/(?:work|root|opt|home/\w+)/"),
}


def offences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that says what it must not, with what it says."""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield number, what


def tracked_files() -> list[Path]:
    """Return the files that git tracks and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def main() -> int:
    """Print each offence as FILE:LINE; return 1 if there is one."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: names {what}"
        for path in tracked_files()
        for number, what in offences(path.read_text(errors="replace"))
    ]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
