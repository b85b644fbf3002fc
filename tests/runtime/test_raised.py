import logging

import pytest

from meshd.runtime.raised import described, log_raised
from meshd.runtime.tool import RunningTool
from meshd.runtime.workers import Workers
from tests.runtime.fakes import FakeBody


class Unreadable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def test_an_exception_in_one_line() -> None:
    assert described(LookupError("gone")) == "LookupError: gone"
    assert described(KeyError()) == "KeyError"
    assert described(Unreadable()) == "Unreadable: its text cannot be read"


async def test_the_log_shows_the_users_frames_only(caplog: pytest.LogCaptureFixture) -> None:
    def users_function() -> None:
        raise LookupError("gone")

    tool = RunningTool("here", "tool", FakeBody(users_function), {}, Workers())
    with pytest.raises(Exception, match="gone"):
        await tool.call({})
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "here.tool raised")
    assert "users_function" in caplog.text
    assert "meshd/runtime" not in caplog.text


def test_an_exception_without_frames_of_the_user_is_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_raised("here.tool", LookupError("gone"))
    assert "LookupError: gone" in caplog.text
