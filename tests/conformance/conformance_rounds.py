"""The callables of the conformance suite that ask their client for input and are called again."""

from fastmcp import Context
from fastmcp.exceptions import ToolError
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)


def _question(message: str, field: str, kind: str = "string") -> ElicitRequest:
    form = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    params = ElicitRequestFormParams(message=message, requested_schema=form)
    return ElicitRequest(method="elicitation/create", params=params)


def _sampling(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    params = CreateMessageRequestParams(messages=[message], max_tokens=100)
    return CreateMessageRequest(method="sampling/createMessage", params=params)


def _roots() -> ListRootsRequest:
    return ListRootsRequest(method="roots/list")


def _ask(requests: dict[str, InputRequest], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(
        result_type="input_required", input_requests=requests, request_state=state
    )


def _elicited(context: Context, key: str, field: str) -> str | None:
    """Return the field of the answer under the key, or nothing if there is none."""
    answer = (context.input_responses or {}).get(key)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    value = (answer.content or {}).get(field)
    return None if value is None else str(value)


def test_input_required_result_elicitation(context: Context) -> str | InputRequiredResult:
    """Ask for a name until there is one."""
    name = _elicited(context, "user_name", "name")
    if name is None:
        return _ask({"user_name": _question("What is your name?", "name")})
    return f"Hello, {name}!"


def test_input_required_result_sampling(context: Context) -> str | InputRequiredResult:
    """Ask the client's model."""
    answer = (context.input_responses or {}).get("capital_question")
    if not isinstance(answer, CreateMessageResult):
        return _ask({"capital_question": _sampling("What is the capital of France?")})
    return answer.content.text if isinstance(answer.content, TextContent) else "no text"


def test_input_required_result_list_roots(context: Context) -> str | InputRequiredResult:
    """Ask for the client's roots."""
    answer = (context.input_responses or {}).get("client_roots")
    if not isinstance(answer, ListRootsResult):
        return _ask({"client_roots": _roots()})
    return "Roots: " + ", ".join(str(root.uri) for root in answer.roots)


def test_input_required_result_request_state(context: Context) -> str | InputRequiredResult:
    """Give the client a state to hand back."""
    if context.input_responses is None:
        return _ask({"confirm": _question("Please confirm", "ok", "boolean")}, "state-1")
    if context.request_state != "state-1":
        raise ToolError("the state did not come back as it was")
    return "state-ok"


def test_input_required_result_multiple_inputs(context: Context) -> str | InputRequiredResult:
    """Ask for three things at once."""
    answers = context.input_responses
    if answers is None:
        return _ask(
            {
                "user_name": _question("What is your name?", "name"),
                "greeting": _sampling("Generate a greeting"),
                "client_roots": _roots(),
            },
            "state-1",
        )
    return "answered: " + ", ".join(sorted(answers))


def test_input_required_result_multi_round(context: Context) -> str | InputRequiredResult:
    """Ask for a name, then for a color; the name travels in the state."""
    color = _elicited(context, "step2", "color")
    if color is not None:
        return f"{context.request_state} likes {color}"
    name = _elicited(context, "step1", "name")
    if name is not None:
        return _ask({"step2": _question("Step 2: What is your favorite color?", "color")}, name)
    return _ask({"step1": _question("Step 1: What is your name?", "name")}, "nobody yet")


def test_input_required_result_tampered_state(context: Context) -> str | InputRequiredResult:
    """Give the client a state that it must not change."""
    if context.input_responses is None:
        return _ask({"confirm": _question("Please confirm", "ok", "boolean")}, "sealed")
    return f"accepted {context.request_state}"


def test_input_required_result_capabilities(context: Context) -> str | InputRequiredResult:
    """Ask only for what the client says that it can answer."""
    if context.input_responses is not None:
        return "answered: " + ", ".join(sorted(context.input_responses))
    client = context.session.client_params
    requests: dict[str, InputRequest] = {}
    if client is not None and client.capabilities.elicitation is not None:
        requests["user_name"] = _question("What is your name?", "name")
    if client is not None and client.capabilities.sampling is not None:
        requests["capital_question"] = _sampling("What is the capital of France?")
    return _ask(requests) if requests else "the client can answer nothing"


def test_input_required_result_prompt(context: Context) -> str | InputRequiredResult:
    """Ask for what the prompt is about."""
    about = _elicited(context, "user_context", "context")
    if about is None:
        return _ask({"user_context": _question("What context should the prompt use?", "context")})
    return f"Use this context: {about}"
