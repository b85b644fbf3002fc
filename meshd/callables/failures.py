"""What user code raised while it was loaded, told so that its author can act on it.

Only the user's own frames are shown: those of meshd, of Python's import system and of installed
packages say nothing about the user's mistake.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meshd.callables.find import is_inside
from meshd.diagnostics.model import Diagnostic, Span


@dataclass(frozen=True, slots=True)
class Failure:
    """A diagnostic without its place, since many references can fail for one reason."""

    code: str
    message: str
    label: str = ""
    hint: str = ""
    detail: str = ""

    def at(self, span: Span | None) -> Diagnostic:
        """Return the diagnostic at a place."""
        return Diagnostic(
            code=self.code,
            message=self.message,
            span=span,
            label=self.label,
            hint=self.hint,
            detail=self.detail,
        )


def users_traceback(error: BaseException, folders: Sequence[str]) -> str:
    """Return the traceback with the frames of files in the folders only, the exception last."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_absolute()
        and any(is_inside(frame.filename, folder) for folder in folders)
    ]
    head = (
        ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
    )
    return "".join([*head, *traceback.format_exception_only(error)]).rstrip("\n")


def files_of(error: BaseException) -> set[str]:
    """Return the files that an exception, or one that led to it, passed through or speaks of."""
    files: set[str] = set()
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        files |= {frame.filename for frame in traceback.extract_tb(one.__traceback__)}
        if isinstance(one, SyntaxError) and one.filename:
            files.add(one.filename)
        waiting += [one.__cause__, one.__context__]
    return {file for file in files if Path(file).is_absolute()}


def summary(error: BaseException) -> str:
    """Return the exception in one short line."""
    told = traceback.TracebackException(type(error), error, None)
    told.__notes__ = None
    line = list(told.format_exception_only())[-1].strip().splitlines()[0]
    return line if len(line) <= 120 else f"{line[:119]}…"


def import_failure(module: str, error: BaseException, folders: Sequence[str]) -> Failure:
    """Return what to say of an import that raised: a missing dependency, or the user's error."""
    detail = users_traceback(error, folders)
    if isinstance(error, ModuleNotFoundError) and error.name not in (None, "", module):
        own = error.name.partition(".")[0] == module.partition(".")[0]
        return Failure(
            "M222",
            f"`{module}` imports `{error.name}`, which is not installed"
            if not own
            else f"`{module}` imports `{error.name}`, which does not exist",
            f"`{error.name}` is missing",
            "correct the import" if own else f"install what provides `{error.name}`",
            detail,
        )
    return Failure(
        "M221",
        f"the import of `{module}` raised `{type(error).__name__}`",
        summary(error),
        "correct the module so that it can be imported",
        detail,
    )
