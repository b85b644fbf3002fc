"""Answers as bytes: the JSON that FastMCP writes, its constant parts made once.

What orjson cannot write (integers over 64 bits, lone surrogates, values of other kinds) has no
bytes here; such an answer is FastMCP's to write.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from meshd.domain.spec import JsonValue
from meshd.runtime.protocol import CHUNK, SERVER_INFO

CANNOT_WRITE = (orjson.JSONEncodeError, RecursionError)
JSON_CHUNK = b'"_meta":{"%b":"json"},' % CHUNK.encode()
"""By which a notification says that its message is JSON, to a caller that wants it so."""

_STRICT = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


class Answers:
    """The answers in one form: of the 2026-07-28 revision, or as before it."""

    def __init__(self, server_info: Mapping[str, Any] | None) -> None:
        """`server_info` is said in each result of the newer form; None makes the older one."""
        stamp = (
            b""
            if server_info is None
            else b'"%s":%s' % (SERVER_INFO.encode(), orjson.dumps(server_info))
        )
        comma = b"," if stamp else b""
        kind = b"" if server_info is None else b'"resultType":"complete",'
        self._server_info = server_info
        self._opening = b'{"jsonrpc":"2.0","id":'
        self._to_content = (
            b',"result":{"_meta":{"fastmcp":{"wrap_result":true}' + comma + stamp + b'},"content":['
        )
        self._no_content = b'],"isError":false,' + kind + b'"structuredContent":{"result":'
        self._to_error = b',"result":{"content":[{"text":'
        self._after_error = b',"type":"text"}],"isError":true'
        if kind:
            self._after_error += b"," + kind[:-1]
        self._plain_error_end = b',"_meta":{' + stamp + b"}}}" if stamp else b"}}"

    def result(self, number: int | str, value: JsonValue) -> bytes:
        """Return the answer with a result; raises one of `CANNOT_WRITE`."""
        written = orjson.dumps(value, None, _STRICT)
        if value is None:
            content = b""
        else:
            text = written if type(value) is str else orjson.dumps(written.decode())
            content = b'{"text":' + text + b',"type":"text"}'
        return b"".join(
            (
                self._opening,
                number_bytes(number),
                self._to_content,
                content,
                self._no_content,
                written,
                b"}}}",
            )
        )

    def error(self, number: int | str, text: str, meta: Mapping[str, Any] | None) -> bytes:
        """Return the answer with a tool's error; raises one of `CANNOT_WRITE`."""
        if meta is None:
            end = self._plain_error_end
        else:
            whole = dict(meta)
            if self._server_info is not None:
                whole[SERVER_INFO] = self._server_info
            end = b',"_meta":' + orjson.dumps(whole) + b"}}"
        return b"".join(
            (
                self._opening,
                number_bytes(number),
                self._to_error,
                orjson.dumps(text),
                self._after_error,
                end,
            )
        )


def number_bytes(number: int | str) -> bytes:
    """Return a request's id, or a progress token, as JSON."""
    return b"%d" % number if type(number) is int else orjson.dumps(number)


def progress_event(
    token: int | str, progress: int, message: str, *, is_json: bool = False
) -> bytes:
    """Return the event that tells of a chunk, and whether its message is JSON."""
    try:
        text = orjson.dumps(message)
    except orjson.JSONEncodeError:
        text = json.dumps(message).encode()
    return event(
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{%s"progressToken":%s,'
        b'"progress":%d.0,"message":%s}}'
        % (JSON_CHUNK if is_json else b"", number_bytes(token), progress, text)
    )


def event(message: bytes) -> bytes:
    """Return a message as an event of a stream."""
    return b"event: message\r\ndata: " + message + b"\r\n\r\n"
