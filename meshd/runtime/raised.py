"""What a user's callable raised: in one line for callers, and with its own frames in the log."""

import logging
from pathlib import Path
from types import TracebackType

logger = logging.getLogger("meshd.tool")

_OWN_FOLDER = str(Path(__file__).parents[1])


class RaisedElsewhere(Exception):
    """The user's callable raised in another process, which has logged it.

    `cause` is what it raised, where that could be brought here.
    """

    def __init__(self, description: str, cause: BaseException | None) -> None:
        super().__init__(description)
        self.description = description
        self.cause = cause


def described(error: BaseException) -> str:
    """Return the exception as its type and text."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (a user's __str__ may raise anything)
        text = "its text cannot be read"
    return f"{kind}: {text}" if text else kind


def log_raised(who: str, error: BaseException) -> None:
    """Log an exception with the frames of the user's code only."""
    frames = _after_own_frames(error.__traceback__)
    logger.warning("%s raised", who, exc_info=(type(error), error, frames))


def _after_own_frames(frames: TracebackType | None) -> TracebackType | None:
    """Return what follows the last frame of meshd's own; None if nothing does."""
    rest = frames
    while frames is not None:
        if frames.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            rest = frames.tb_next
        frames = frames.tb_next
    return rest
