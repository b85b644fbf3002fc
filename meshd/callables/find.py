"""Where a module lies below import roots, from the file system alone: nothing is imported.

Links are resolved; what leads out of its root does not count. Looks at folders and `.py` files in
the order in which Python does. What cannot be looked at, such as too long a name, is not there.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Portion:
    """A folder that may hold parts of a package, and the import root it belongs to."""

    folder: Path
    root: Path


def is_inside(path: Path | str, folder: Path | str) -> bool:
    """Say whether the path, links resolved, is the folder or lies below it."""
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def is_folder(path: Path | str) -> bool:
    """Say whether the path is a folder; unlike pathlib's, never raises."""
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def find_module(name: str, roots: Sequence[str]) -> Path | None:
    """Return the file of a module, or the folder of a package without code, or None."""
    portions = [Portion(Path(root), Path(root)) for root in roots]
    *parents, last = name.split(".")
    for part in parents:
        portions = _package(part, portions)
    file, folders = _find_part(last, portions)
    return file.folder if file else folders[0].folder if folders else None


def _package(part: str, portions: Iterable[Portion]) -> list[Portion]:
    """Return the folders in which the submodules of a package are looked for."""
    file, folders = _find_part(part, portions)
    if file is None:
        return folders
    return [Portion(file.folder.parent, file.root)] if file.folder.name == "__init__.py" else []


def _find_part(part: str, portions: Iterable[Portion]) -> tuple[Portion | None, list[Portion]]:
    """Return the file of a regular module, else the folders of a package without code."""
    folders: list[Portion] = []
    for portion in portions:
        package = portion.folder / part
        for file in (package / "__init__.py", portion.folder / f"{part}.py"):
            if _is_file(file) and is_inside(file, portion.root):
                return Portion(file, portion.root), []
        if is_folder(package) and is_inside(package, portion.root):
            folders.append(Portion(package, portion.root))
    return None, folders


def leads_out(name: str, roots: Sequence[str]) -> bool:
    """Say whether the module exists below a root only through a link that leaves the root."""
    for root in roots:
        path = Path(root)
        for part in name.split("."):
            path /= part
            for candidate in (path, path.with_name(f"{part}.py"), path / "__init__.py"):
                if _exists(candidate) and not is_inside(candidate, root):
                    return True
    return False


def sibling_modules(package: str, roots: Sequence[str]) -> Iterator[str]:
    """Yield the names of the modules in a package, or at the top if the package is empty."""
    folders = [Path(root) for root in roots]
    if package:
        found = find_module(package, roots)
        folders = [found.parent if found.name == "__init__.py" else found] if found else []
    for folder in folders:
        entries = sorted(folder.iterdir()) if is_folder(folder) else []
        for entry in entries:
            is_module = is_folder(entry) or (entry.suffix == ".py" and _is_file(entry))
            if is_module and entry.stem.isidentifier() and not entry.stem.startswith("__"):
                yield entry.stem
