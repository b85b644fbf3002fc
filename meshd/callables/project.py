"""The project: its folder, the allow-list of its `meshd.toml`, and whether import roots are fit.

The allow-list stands outside the manifests on purpose: who may write a manifest does not thereby
decide what code runs. Reads files; imports nothing.
"""

import os
import re
import site
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from meshd.callables.allow import pattern_problem
from meshd.callables.find import is_folder, is_inside
from meshd.callables.references import printable
from meshd.diagnostics.model import Diagnostic, Span
from meshd.diagnostics.suggest import closest

FILE_NAME = "meshd.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """The folder that import roots must lie in, and the patterns that may be imported."""

    root: str
    patterns: tuple[str, ...] = ()


def find_project_root(paths: Sequence[str | Path]) -> Path:
    """Return the nearest folder above all the manifests that has a meshd.toml.

    Without one, it is the folder given; of several, the one that holds them all.
    """
    folders = [path if is_folder(path) else path.parent for path in map(_resolved, paths)]
    given = folders[0] if folders else Path.cwd()
    while not all(folder.is_relative_to(given) for folder in folders):
        given = given.parent
    for folder in (given, *given.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    return given


def read_project(
    paths: Sequence[str | Path], allow: Iterable[str] = ()
) -> tuple[Project, tuple[Diagnostic, ...]]:
    """Return the project of the manifests; `allow` are further patterns, from the command line."""
    root = find_project_root(paths)
    file = root / FILE_NAME
    patterns: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()
    if file.is_file():
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            found = (Diagnostic(code="M215", message=f"`{file}` cannot be read", label=str(error)),)
        else:
            patterns, found = read_allow_list(text, str(file))
    given = {pattern: pattern_problem(pattern) for pattern in allow}
    found += tuple(
        Diagnostic(
            code="M215",
            message=f"`--allow {printable(pattern)}` is not a pattern",
            label=problem,
            hint=_PATTERN_HINT,
        )
        for pattern, problem in given.items()
        if problem
    )
    good = (pattern for pattern, problem in given.items() if not problem)
    return Project(str(root), (*patterns, *good)), found


def read_allow_list(text: str, file: str) -> tuple[tuple[str, ...], tuple[Diagnostic, ...]]:
    """Return the patterns of a meshd.toml, or what is wrong with it and in which line."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers too long, and lists too deep
        place = re.search(r"line (\d+), column (\d+)", str(error))
        lines = text.split("\n")
        line, column = map(int, place.groups()) if place else (len(lines), len(lines[-1]) + 1)
        problem = re.sub(r" \(at .*\)$", "", str(error))
        span = Span(file, line, column, column + 1)
        return (), (
            Diagnostic(code="M215", message=f"`{FILE_NAME}` is not TOML", span=span, label=problem),
        )
    reading = _Reading(text, file)
    imports = reading.table(document, ("imports",), "imports")
    patterns = reading.patterns(reading.table(imports, ("allow",), "allow"))
    return patterns, tuple(reading.diagnostics)


_PATTERN_HINT = "write `package.*`, `package.module` or `package.module:name`"


class _Reading:
    """One reading of a file, with the complaints so far."""

    def __init__(self, text: str, file: str) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._lines = text.splitlines()
        self._file = file

    def table(self, value: object, known: Sequence[str], wanted: str) -> object:
        """Return the wanted entry of a table after checking that its keys are known."""
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self._complain("`imports` is not a table", "imports", hint="write `[imports]`")
            return None
        table = cast("Mapping[str, Any]", value)
        for key in table:
            if key not in known:
                near = closest(key, known)
                hint = f"did you mean `{near}`?" if near else f"known: {', '.join(known)}"
                self._complain(f"unknown key `{printable(key)}`", key, hint=hint)
        return table.get(wanted)

    def patterns(self, value: object) -> tuple[str, ...]:
        """Return the patterns of the list that are in order."""
        if value is None:
            return ()
        if not isinstance(value, list):
            self._complain("`allow` is not a list", "allow", hint='write `allow = ["package.*"]`')
            return ()
        good: list[str] = []
        for pattern in cast("list[object]", value):
            if not isinstance(pattern, str):
                label = f"`{printable(str(pattern))}` is not a string"
                self._complain("a pattern is not a string", "allow", label, _PATTERN_HINT)
            elif problem := pattern_problem(pattern):
                message = f"`{printable(pattern)}` is not a pattern"
                self._complain(message, pattern, problem, _PATTERN_HINT, quoted=True)
            else:
                good.append(pattern)
        return tuple(good)

    def _complain(
        self, message: str, word: str, label: str = "", hint: str = "", *, quoted: bool = False
    ) -> None:
        # tomllib gives no places, so the first line that says the word has to do.
        around = (r"[\"']", r"[\"']") if quoted else (r"(?<!\w)", r"(?!\w)")
        word_alone = re.compile(around[0] + re.escape(word) + around[1])
        for number, line in enumerate(self._lines, 1):
            if match := word_alone.search(line if quoted else line.partition("#")[0]):
                span = Span(self._file, number, match.start() + 1, match.end() + 1)
                break
        else:
            span = Span(self._file, 1, 1, 2)
        self.diagnostics.append(
            Diagnostic(code="M215", message=message, span=span, label=label, hint=hint)
        )


def check_roots(
    project_root: str, roots: Iterable[str], span: Span | None = None
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with import roots: each must be a folder of the project's own code."""
    return tuple(
        Diagnostic(
            code="M214",
            message=f"`{root}` cannot be an import root",
            span=span,
            label=label,
            hint=hint,
        )
        for root in roots
        for label, hint in _root_problems(project_root, Path(root))
    )


def _root_problems(project_root: str, root: Path) -> list[tuple[str, str]]:
    if not is_folder(root):
        return [("there is no such folder", "name a folder that holds your Python code")]
    if not is_inside(root, project_root):
        where = f"it lies outside the project, which is {project_root}"
        return [(where, f"move the code into the project, or {FILE_NAME} to a folder above both")]
    resolved = root.resolve()
    if {"site-packages", "dist-packages"} & set(resolved.parts) or any(
        is_inside(resolved, folder) for folder in _installed()
    ):
        hint = f"leave it out, and allow what you use in {FILE_NAME}"
        return [("it belongs to the installed packages or the standard library", hint)]
    if all((resolved / name).is_file() for name in ("os.py", "site.py", "abc.py")):
        return [
            ("it holds a standard library", f"leave it out, and allow what you use in {FILE_NAME}")
        ]
    return []


def _installed() -> list[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return [*(sysconfig.get_path(name) for name in names), *site.getsitepackages()]


def _resolved(path: str | Path) -> Path:
    # Unlike pathlib's, this takes links that lead in a circle and names that are too long.
    return Path.cwd() if str(path) == "-" else Path(os.path.realpath(path))
