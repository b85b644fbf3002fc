"""What is asked with `tools/call`: a tool's value of arguments as a whole HTTP request.

A `Target` is one tool at one endpoint in one form; what is the same for all calls of it is made
once. https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

import base64
import re
from collections.abc import Mapping

from meshd import __version__
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected
from meshd.runtime.exact_json import dumped
from meshd.runtime.protocol import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    MCP_PATH,
    MODERN_VERSION,
    PROTOCOL_VERSION,
)
from meshd.runtime.tool_answer import Form
from meshd.runtime.wire.address import Address
from meshd.runtime.wire.request import NotAHeader, lines_of, post, start_of

_OWN = frozenset({"accept", "accept-encoding", "content-type"})
_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?\Z")
_ENCODED = re.compile(r"=\?base64\?.*\?=\Z")


class Target:
    """One tool of the server at an address, spoken to in one form."""

    def __init__(self, address: Address, tool: str, form: Form) -> None:
        self.address = address
        self.form: Form = form
        headers = {
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        meta: dict[str, JsonValue] = {}
        if form == "stateless":
            headers |= {
                "MCP-Protocol-Version": MODERN_VERSION,
                "Mcp-Method": "tools/call",
                "Mcp-Name": encoded(tool),
            }
            meta = {
                PROTOCOL_VERSION: MODERN_VERSION,
                CLIENT_CAPABILITIES: {},
                CLIENT_INFO: {"name": "meshd", "version": __version__},
            }
        self._start = start_of(address, MCP_PATH, headers)
        self._agent = lines_of({"User-Agent": f"meshd/{__version__}"})
        self._opening = (
            b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":%b,"arguments":'
            % (dumped(tool))
        )
        self._meta = dumped(meta)[1:-1]

    def request(
        self,
        number: int,
        arguments: dict[str, JsonValue],
        headers: Mapping[str, str],
        meta: Mapping[str, JsonValue],
    ) -> bytes:
        """Return the request; headers and meta are added to those of the protocol.

        Raises:
            ArgumentsRejected: JSON cannot say the arguments, or a header cannot be sent.

        """
        try:
            value = dumped(arguments)
            more = dumped(meta)[1:-1] if meta else b""
        except ValueError as error:
            raise ArgumentsRejected(f"the arguments cannot be sent: {error}") from None
        pieces = [piece for piece in (self._meta, more) if piece]
        closing = b',"_meta":{%b}},"id":%d}' % (b",".join(pieces), number)
        if not pieces:
            closing = b'},"id":%d}' % number
        return post(
            self._start,
            self._lines(headers) if headers else self._agent,
            self._opening + value + closing,
        )

    def _lines(self, headers: Mapping[str, str]) -> bytes:
        names = {name.lower() for name in headers}
        taken = {name for name in names if name in _OWN or name.startswith("mcp-")}
        if taken:
            reason = f"the call cannot be sent: header `{min(taken)}` belongs to the protocol"
            raise ArgumentsRejected(reason)
        try:
            lines = lines_of(headers)
        except NotAHeader as error:
            raise ArgumentsRejected(f"the call cannot be sent: {error}") from None
        return lines if "user-agent" in names else self._agent + lines


def encoded(value: str) -> str:
    """Return a value as headers of the protocol carry it: in base64 where it is not plain ASCII."""
    if _PLAIN.match(value) and not _ENCODED.match(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="
