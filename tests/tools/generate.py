"""Write schemas/ and docs/reference/ from the code; the one place that does.

`rendered` says what each file must hold, for this module's `main` and for check_fresh.
"""

from collections.abc import Mapping
from pathlib import Path

from meshd.diagnostics.codes import CODES
from meshd.manifest.schema import schema_text
from tests.tools.command_reference import command_reference
from tests.tools.manifest_reference import manifest_reference

ROOT = Path(__file__).parents[2]
WHOLLY_GENERATED = (ROOT / "schemas",)
"""Folders that hold nothing else, so that a file too many there is a stale one."""


def rendered() -> Mapping[Path, str]:
    """Return the text of every generated file by its path."""
    return {
        ROOT / "schemas/meshd.dev/v1/manifest.schema.json": schema_text(),
        ROOT / "docs/reference/manifest.md": manifest_reference(),
        ROOT / "docs/reference/commands.md": command_reference(),
        ROOT / "docs/reference/diagnostics.md": diagnostics_reference(),
    }


def diagnostics_reference() -> str:
    """Return the table of every diagnostic code."""
    rows = [f"| {code} | {meaning} |" for code, meaning in sorted(CODES.items())]
    head = [
        "# Diagnostics",
        "",
        "A code is stable: it keeps its meaning and is never used for another.",
        "M1 is the shape of a file, M2 names and callables, M3 wiring, M4 running.",
        "",
        "| code | meaning |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def main() -> int:
    """Write every generated file whose text has changed."""
    for path, text in rendered().items():
        if path.is_file() and path.read_text() == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
