"""Heartbeats over HTTP: by far the most requests, so they are answered before any framework.

A quick one is answered by its status alone. A full one that says what its sender said last is known
by its digest, and is not read again.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from meshd.domain.lease import Moment
from meshd.errors import MalformedRegistration, RegistrationRefused, RegistryFull
from meshd.registry import answers
from meshd.registry.keeper import Keeper
from meshd.registry.registration import MAX_BODY_BYTES, digest_of, read_registration

INCARNATION_HEADER = b"x-meshd-incarnation"
PATH = "/heartbeat"

_QUICK = f"{PATH}/"
_EMPTY = [(b"content-length", b"0")]
_NO_BODY = {"type": "http.response.body", "body": b""}
_STARTS = {
    answer: {"type": "http.response.start", "status": status, "headers": _EMPTY}
    for answer, status in {"unchanged": 200, "changed": 202, "unknown": 410}.items()
}


class Heartbeats:
    """An application that answers what `concerns` it."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    @staticmethod
    def concerns(scope: Scope) -> bool:
        """Say whether this is a heartbeat."""
        if scope["type"] != "http":
            return False
        method, path = scope["method"], scope["path"]
        return (method == "HEAD" and path.startswith(_QUICK)) or (method == "POST" and path == PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one heartbeat."""
        keeper = self._keeper
        if scope["method"] == "HEAD":
            identity = scope["path"][len(_QUICK) :]
            incarnation = incarnation_of(scope["headers"])
            answer = keeper.registry.renew(identity, keeper.now(), incarnation)
            await send(_STARTS[answer])
            await send(_NO_BODY)
            return
        now = keeper.now()
        status, said = self._answered(await _body(receive), now)
        content = orjson.dumps(said)
        headers = [
            (b"content-length", b"%d" % len(content)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answered(self, body: bytes | None, now: Moment) -> tuple[int, Any]:
        """Return status and body of the answer to a full heartbeat."""
        if body is None:
            reason = f"the registration is larger than {MAX_BODY_BYTES} bytes"
            return 400, answers.error(reason, now.wall)
        registry = self._keeper.registry
        digest = digest_of(body)
        if answer := registry.repeat(digest, now):
            return 200, answers.registered(answer, now.wall)
        identity = ""
        try:
            registration = read_registration(body, digest)
            identity = registration.instance.id
            answer = registry.register(registration, now)
        except MalformedRegistration as error:
            return 400, answers.error(str(error), now.wall)
        except RegistryFull as error:
            return 503, answers.error(str(error), now.wall)
        except RegistrationRefused as error:
            return 200, answers.rejected(str(error), identity, now.wall)
        return 200, answers.registered(answer, now.wall)


def incarnation_of(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Read the incarnation that meshd's instances name; what is no number counts as unnamed."""
    for name, value in headers:
        if name == INCARNATION_HEADER and value.isdigit() and len(value) < 20:
            return int(value)
    return None


async def _body(receive: Receive) -> bytes | None:
    """Read the body, or return None as soon as it is too large; nothing if the sender is gone."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        content = message.get("body", b"")
        return content if len(content) <= MAX_BODY_BYTES else None
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()
    return b""
