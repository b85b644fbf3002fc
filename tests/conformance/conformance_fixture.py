"""The callables that the official MCP conformance suite calls by name.

They are plain callables: `manifests/` offers them as a meshd agent, `baseline_server.py` offers the
same ones from plain FastMCP. What needs several rounds is in `conformance_rounds.py`.
"""

import base64
import json
import struct
import zlib
from enum import StrEnum
from typing import Any

from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.utilities.types import Audio, Image
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, ConfigDict, Field


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PIXEL_PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _png_chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    + _png_chunk(b"IEND", b"")
)
"""One red pixel."""

_SAMPLES = b"\x00\x00" * 8
SILENT_WAV = (
    b"RIFF"
    + struct.pack("<I", 36 + len(_SAMPLES))
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + b"data"
    + struct.pack("<I", len(_SAMPLES))
    + _SAMPLES
)
"""Eight silent samples, 16 bits, mono."""


def _image_block() -> ImageContent:
    data = base64.b64encode(PIXEL_PNG).decode()
    return ImageContent(type="image", data=data, mime_type="image/png")


def _resource_block(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return EmbeddedResource(type="resource", resource=contents)


def test_simple_text() -> str:
    """Answer with text."""
    return "This is a simple text response for testing."


def test_image_content() -> Image:
    """Answer with a picture."""
    return Image(data=PIXEL_PNG, format="png")


def test_audio_content() -> Audio:
    """Answer with sound."""
    return Audio(data=SILENT_WAV, format="wav")


def test_embedded_resource() -> EmbeddedResource:
    """Answer with a resource."""
    text = "This is an embedded resource content."
    return _resource_block("test://embedded-resource", "text/plain", text)


def test_multiple_content_types() -> list[ContentBlock]:
    """Answer with text, a picture and a resource."""
    data = json.dumps({"test": "data", "value": 123})
    return [
        TextContent(type="text", text="Multiple content types test:"),
        _image_block(),
        _resource_block("test://mixed-content-resource", "application/json", data),
    ]


def test_error_handling() -> str:
    """Fail with a message for the client."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_tool_with_logging(context: Context) -> str:
    """Log three messages."""
    for message in ("started", "processing data", "completed"):
        await context.info(f"Tool execution {message}")
    return "logged three messages"


async def test_tool_with_progress(context: Context) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await context.report_progress(done, 100, f"Completed step {done} of 100")
    return "reported progress three times"


async def test_sampling(prompt: str, context: Context) -> str:
    """Ask the client's model; only clients that keep a session can answer."""
    question = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    answer = await context.session.create_message(  # pyright: ignore[reportDeprecated]
        messages=[question], max_tokens=100, related_request_id=context.origin_request_id
    )
    content = answer.content
    return f"LLM response: {content.text if isinstance(content, TextContent) else ''}"


class Contact(BaseModel):
    """What `test_elicitation` asks for."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


async def test_elicitation(message: str, context: Context) -> str:
    """Ask the client's user for two strings."""
    answer = await context.elicit(message, Contact)
    return f"User response: {answer}"


class Status(StrEnum):
    """A choice with a default."""

    active = "active"
    inactive = "inactive"
    pending = "pending"


class Defaults(BaseModel):
    """A form with a default of each primitive type."""

    name: str = Field("John Doe", description="User name")
    age: int = Field(30, description="User age")
    score: float = Field(95.5, description="User score")
    status: Status = Field(Status.active, description="User status")
    verified: bool = Field(True, description="Verification status")


async def test_elicitation_sep1034_defaults(context: Context) -> str:
    """Ask with defaults of each primitive type."""
    answer = await context.elicit("Please review the form fields with defaults", Defaults)
    return f"Elicitation completed: {answer}"


def _titled(*names: str) -> list[dict[str, str]]:
    return [{"const": f"value{number}", "title": name} for number, name in enumerate(names, 1)]


_OPTIONS = ["option1", "option2", "option3"]
_ENUM_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _titled("First", "Second", "Third")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled("First", "Second", "Third")}},
    },
    "required": [],
}


async def test_elicitation_sep1330_enums(context: Context) -> str:
    """Ask with each form of a choice."""
    answer = await context.session.elicit(
        message="Please select options from the enum fields",
        requested_schema=_ENUM_FORM,
        related_request_id=context.origin_request_id,
    )
    return f"Elicitation completed: action={answer.action}, content={answer.content}"


class address(BaseModel):  # noqa: N801  (the suite looks for a definition of this name)
    """A definition with a keyword that servers must keep."""

    model_config = ConfigDict(json_schema_extra={"$anchor": "addressDef"})
    street: str = ""
    city: str = ""


def json_schema_2020_12_tool(name: str = "", address: address | None = None) -> str:
    """Offer a schema with definitions."""
    return f"called with {name} and {address}"


def test_custom_headers(message: str) -> str:
    """Take an argument that clients also send as a header; the schema says so."""
    return f"Received message: {message}"


def test_missing_capability(context: Context) -> str:
    """Refuse clients that do not declare sampling, as the protocol says."""
    client = context.session.client_params
    if client is not None and client.capabilities.sampling is not None:
        return "The client declared sampling."
    raise MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message="The client did not declare sampling",
        data={"requiredCapabilities": {"sampling": {}}},
    )


async def test_logging_tool(context: Context) -> str:
    """Log one message, which only clients that ask for a level receive."""
    await context.info("one message")
    return "logged one message"


async def test_streaming_elicitation(context: Context) -> str:
    """Report progress, so that the answer is a stream, then answer."""
    await context.report_progress(50, 100)
    return "streamed"


async def test_reconnection(context: Context) -> str:
    """Close the stream before the answer."""
    await context.close_sse_stream()
    return "answered after the stream was closed"


def static_text() -> str:
    """Serve a resource of text."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """Serve a resource of bytes."""
    return PIXEL_PNG


def template_data(id: str) -> str:  # noqa: A002  (the suite's template names it so)
    """Serve a resource that depends on a part of its address."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def watched_resource() -> str:
    """Serve a resource that the suite subscribes to."""
    return "Watched resource content"


def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803  (the suite's name)
    """A prompt that carries a resource."""
    resource = _resource_block(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [Message(resource), Message("Please process the embedded resource above.")]


def test_prompt_with_image() -> list[Message]:
    """A prompt that carries a picture."""
    return [Message(_image_block()), Message("Please analyze the image above.")]
