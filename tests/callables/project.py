"""Small projects for tests: modules written to a folder, imported, and forgotten again."""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from meshd.callables.allow import ImportPolicy
from meshd.callables.load import Loaded, Loader
from meshd.diagnostics.model import Diagnostic


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write modules below a folder and return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return folder


@contextmanager
def forgotten() -> Generator[None, None, None]:
    """Undo what imports do to the process: the search path and the modules of temporary folders."""
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in sys.modules.keys() - modules.keys():
            if "pytest-" in str(getattr(sys.modules[name], "__path__", "")) or "pytest-" in str(
                getattr(sys.modules[name], "__file__", "")
            ):
                del sys.modules[name]


def loader(*roots: Path, allow: tuple[str, ...] = ()) -> Loader:
    """Return a loader with these import roots and patterns."""
    return Loader(ImportPolicy(tuple(map(str, roots)), allow))


def failure(found: Loaded | Diagnostic) -> tuple[str, str, str, str]:
    """Return the code, message, label and hint of a diagnostic that was expected."""
    assert isinstance(found, Diagnostic)
    return found.code, found.message, found.label, found.hint
