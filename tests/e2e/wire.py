"""MCP requests as bytes on the wire, for tests that no MCP client would make."""

from typing import Any, Literal

Era = Literal["modern", "legacy"]
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
ERAS: tuple[Era, ...] = ("modern", "legacy")
ACCEPT = {"Accept": "application/json, text/event-stream"}


def call_request(
    era: Era, tool: str, arguments: dict[str, Any], request_id: int | str = 1
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and the body of a `tools/call`."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    headers = {**ACCEPT, "MCP-Protocol-Version": MODERN if era == "modern" else LEGACY}
    if era == "modern":
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    return headers, {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
