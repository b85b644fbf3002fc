"""What an outgoing call carries besides its arguments: context and settings to headers and `_meta`.

Pure: the time is an argument. The time left goes out in two headers, one that meshd reads and one
for MCP Mesh's agents; the trace as headers and in `_meta`; headers of the request being served only
if the settings name them, and never its credentials.
"""

import math
from collections.abc import Mapping

from meshd.domain.spec import CallSettings, JsonValue
from meshd.runtime.context import CallContext
from meshd.runtime.protocol import MCP_MESH_TIMEOUT, TIMEOUT

LONGEST_SECONDS = 999_999_999.0
"""More than this is not said: nine digits are what receivers read."""
NEVER_HANDED_ON = frozenset({"authorization", "proxy-authorization", "cookie"})
"""No credentials are passed through."""
_TIMES = frozenset({TIMEOUT.lower(), MCP_MESH_TIMEOUT.lower()})


class Outgoing:
    """What calls of one edge to one upstream carry."""

    __slots__ = ("_fixed", "_handed_on", "_lower", "has_token", "settings")

    def __init__(self, settings: CallSettings, token: str | None = None) -> None:
        """Take the effective settings, and the token that the provider is to get, if any."""
        self.settings = settings
        self.has_token = token is not None
        fixed = {n: v for n, v in (settings.headers or {}).items() if n.lower() not in _TIMES}
        names = {name.lower() for name in settings.propagate or ()}
        self._handed_on = tuple(sorted(names - NEVER_HANDED_ON - _TIMES))
        self._lower = {name.lower(): value for name, value in fixed.items()}
        if token is not None:
            fixed = {n: v for n, v in fixed.items() if n.lower() != "authorization"}
            fixed["Authorization"] = f"Bearer {token}"
        self._fixed = fixed

    def __repr__(self) -> str:
        return f"Outgoing(has_token={self.has_token})"

    def of(
        self, context: CallContext, now: float
    ) -> tuple[Mapping[str, str], Mapping[str, JsonValue]]:
        """Return the headers and the `_meta` of a call in a context; `now` is monotonic seconds."""
        headers = dict(self._fixed)
        if self._handed_on and context.headers:
            self._hand_on(headers, context)
        if context.deadline is not None:
            left = min(max(context.deadline - now, 0.001), LONGEST_SECONDS)
            headers[TIMEOUT] = f"{left:.3f}"
            headers[MCP_MESH_TIMEOUT] = str(math.ceil(left))
        if not context.trace:
            return headers, {}
        headers.update(context.trace)
        return headers, dict(context.trace)

    def within(self, context: CallContext) -> Mapping[str, str]:
        """Return the headers, in lower case, for a callee in the same process."""
        if not self._lower and not (self._handed_on and context.headers):
            return {}
        found = {name: context.headers[name] for name in self._handed_on if name in context.headers}
        return {**self._lower, **found}

    def _hand_on(self, headers: dict[str, str], context: CallContext) -> None:
        """Add headers of the request being served, in the place of those that the settings give."""
        found = {name: context.headers[name] for name in self._handed_on if name in context.headers}
        for name in [name for name in headers if name.lower() in found]:
            del headers[name]
        headers.update(found)
