"""Fail when a generated file differs from what the code would write, or is no longer written."""

import sys
from collections.abc import Iterator

from tests.tools.generate import ROOT, WHOLLY_GENERATED, rendered


def offences() -> Iterator[str]:
    """Yield a line for each generated file that is missing, stale or left over."""
    texts = rendered()
    for path, text in texts.items():
        if not path.is_file():
            yield f"{path.relative_to(ROOT)}: missing"
        elif path.read_text() != text:
            yield f"{path.relative_to(ROOT)}: stale"
    for folder in WHOLLY_GENERATED:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in texts:
                yield f"{path.relative_to(ROOT)}: nothing writes this any more"


def main() -> int:
    """Print each offence with the remedy; return 1 if there is one."""
    found = list(offences())
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("run `make docs` and commit what it writes", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
