"""The conformance callables served by plain FastMCP, for comparison.

`baseline_server.py DESCRIPTOR` serves on a listening socket that it inherits. The settings are
those of meshd's own servers; `--stateful` keeps FastMCP's default for clients of the older protocol
versions.
"""

import argparse
import socket
from typing import Annotated, Any

import conformance_fixture as fixture
import conformance_rounds as rounds
import uvicorn
from fastmcp import FastMCP
from pydantic import Field

TOOLS = (
    fixture.test_simple_text,
    fixture.test_image_content,
    fixture.test_audio_content,
    fixture.test_embedded_resource,
    fixture.test_multiple_content_types,
    fixture.test_error_handling,
    fixture.test_tool_with_logging,
    fixture.test_tool_with_progress,
    fixture.test_sampling,
    fixture.test_elicitation,
    fixture.test_elicitation_sep1034_defaults,
    fixture.test_elicitation_sep1330_enums,
    fixture.json_schema_2020_12_tool,
    fixture.test_missing_capability,
    fixture.test_logging_tool,
    fixture.test_streaming_elicitation,
    fixture.test_reconnection,
    rounds.test_input_required_result_elicitation,
    rounds.test_input_required_result_sampling,
    rounds.test_input_required_result_list_roots,
    rounds.test_input_required_result_request_state,
    rounds.test_input_required_result_multiple_inputs,
    rounds.test_input_required_result_multi_round,
    rounds.test_input_required_result_tampered_state,
    rounds.test_input_required_result_capabilities,
)
PROMPTS = (
    fixture.test_simple_prompt,
    fixture.test_prompt_with_arguments,
    fixture.test_prompt_with_embedded_resource,
    fixture.test_prompt_with_image,
    rounds.test_input_required_result_prompt,
)


def build() -> FastMCP[Any]:
    """Return a FastMCP server with everything that the suite calls."""
    server: FastMCP[Any] = FastMCP("conformance", "Answers the conformance suite", version="1.0.0")
    for tool in TOOLS:
        server.tool(tool)

    def test_custom_headers(
        message: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Message"})],
    ) -> str:
        """Take an argument that clients also send as a header."""
        return fixture.test_custom_headers(message)

    server.tool(test_custom_headers)
    server.resource("test://static-text", mime_type="text/plain")(fixture.static_text)
    server.resource("test://static-binary", mime_type="image/png")(fixture.static_binary)
    server.resource("test://watched-resource", mime_type="text/plain")(fixture.watched_resource)
    template = server.resource("test://template/{id}/data", mime_type="application/json")
    template(fixture.template_data)
    for prompt in PROMPTS:
        server.prompt(prompt)
    return server


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("descriptor", type=int, help="of a listening socket")
    parser.add_argument("--stateful", action="store_true")
    options = parser.parse_args()
    app = build().http_app(
        path="/mcp",
        json_response=False,
        stateless_http=not options.stateful,
        host_origin_protection=True,
    )
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", log_level="warning"))
    server.run(sockets=[socket.socket(fileno=options.descriptor)])


if __name__ == "__main__":
    main()
