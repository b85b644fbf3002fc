"""What processes find in their environment, and what is kept from them."""

from pathlib import Path

import pytest

from meshd.daemon.environment import (
    AUTH_TOKEN,
    common_environment,
    environment_of,
    secret_sources,
    tokens_of,
)
from meshd.diagnostics.model import Span
from meshd.domain.spec import AgentSpec, CallSettings, NeedSpec, SecretSpec, ToolSpec
from meshd.domain.tokens import with_provider_tokens
from meshd.errors import InvalidInput

VAULT = AgentSpec(
    name="vault", env={"TOKEN": SecretSpec(env="VAULT_TOKEN"), "MODE": "prod", "KEY": "text"}
)
CART = AgentSpec(name="cart", env={"TOKEN": SecretSpec(env="CART_TOKEN")})
OUTSIDE = {"PATH": "/bin", "VAULT_TOKEN": "v", "CART_TOKEN": "c", "MODE": "test"}


def test_sources_of_secrets_are_hidden_from_all() -> None:
    assert secret_sources([VAULT, CART]) == {"VAULT_TOKEN", "CART_TOKEN", AUTH_TOKEN}
    assert common_environment(OUTSIDE, [VAULT, CART]) == {"PATH": "/bin", "MODE": "test"}


def test_an_agent_has_its_own_secrets_and_values() -> None:
    common = common_environment(OUTSIDE, [VAULT, CART])
    own = {"PATH": "/bin", "MODE": "prod", "KEY": "text", "TOKEN": "v"}
    assert environment_of([VAULT], common, OUTSIDE) == own
    assert environment_of([CART], common, OUTSIDE) == {"PATH": "/bin", "MODE": "test", "TOKEN": "c"}


@pytest.mark.parametrize(
    ("text", "secret"), [("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s "), ("", "")]
)
def test_a_secret_in_a_file_has_no_line_end(tmp_path: Path, text: str, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text.encode())
    agent = AgentSpec(name="a", env={"TOKEN": SecretSpec(file=str(file))})
    assert environment_of([agent], {}, {}) == {"TOKEN": secret}


def test_every_missing_secret_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    place = Span("a.yaml", 3, 5, 9)
    agent = AgentSpec(
        name="a",
        origins={"env.ONE": place},
        env={
            "ONE": SecretSpec(env="NOT_SET"),
            "TWO": SecretSpec(file=str(tmp_path / "none")),
            "THREE": SecretSpec(file=str(binary)),
        },
    )
    with pytest.raises(InvalidInput) as caught:
        environment_of([agent], {}, {})
    found = caught.value.diagnostics
    assert [(one.code, one.message, one.label) for one in found] == [
        ("M403", "the secret for `ONE` of agent `a` is missing", "`NOT_SET` is not set"),
        (
            "M403",
            "the secret for `TWO` of agent `a` is missing",
            f"`{tmp_path / 'none'}` cannot be read as text",
        ),
        (
            "M403",
            "the secret for `THREE` of agent `a` is missing",
            f"`{binary}` cannot be read as text",
        ),
    ]
    assert (found[0].span, found[0].hint) == (place, "set `NOT_SET` where `meshd run` starts")


DOOR = AgentSpec(
    name="door",
    tools=(
        ToolSpec(
            callable="door:open",
            name="open",
            capability="door.open",
            call=CallSettings(auth=SecretSpec(env="DOOR_TOKEN")),
        ),
        ToolSpec(callable="door:bell", name="bell", capability="door.bell"),
    ),
)


def guest(*needs: NeedSpec) -> AgentSpec:
    return AgentSpec(
        name="guest", tools=(ToolSpec(callable="guest:visit", name="visit", needs=needs),)
    )


OPEN = NeedSpec(parameter="door", capability="door.open")
BELL = NeedSpec(parameter="bell", capability="door.bell")
OWN = NeedSpec(
    parameter="gate",
    capability="door.open",
    call=CallSettings(auth=SecretSpec(env="GUEST_TOKEN")),
)
TOKENS = {"DOOR_TOKEN": "d00r", "GUEST_TOKEN": "gu3st"}


def test_a_token_goes_to_who_demands_it_and_to_nobody_else() -> None:
    agents = with_provider_tokens((DOOR, guest(OPEN, BELL, OWN)))
    tokens = tokens_of(agents, TOKENS)
    assert tokens["door"].demanded == {"open": "d00r"}
    visit = tokens["guest"]
    assert visit.demanded == {}
    door, bell, gate = (visit.for_need("visit", name) for name in ("door", "bell", "gate"))
    assert door("door.open", True) == "d00r"
    assert door("other.open", True) is None
    assert bell("door.bell", False) is None
    assert (gate("door.open", True), gate("door.bell", False)) == ("gu3st", None)


def test_what_no_manifest_names_gets_the_token_of_the_environment() -> None:
    tokens = tokens_of(with_provider_tokens((guest(OPEN),)), {AUTH_TOKEN: "common"})
    token_for = tokens["guest"].for_need("visit", "door")
    assert (token_for("far.open", True), token_for("far.open", False)) == ("common", None)


def test_agents_without_a_common_edge_share_no_token() -> None:
    agents = with_provider_tokens((DOOR, guest(BELL)))
    assert agents[1].provider_tokens == {}
    assert secret_sources(agents) == {"DOOR_TOKEN", AUTH_TOKEN}
    assert "d00r" not in repr(tokens_of(agents, TOKENS))


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "caf\u00e9"])
def test_what_no_header_can_hold_is_no_token(value: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        tokens_of([DOOR], {"DOOR_TOKEN": value})
    [problem] = raised.value.diagnostics
    assert problem.code == "M403"
    assert problem.message == "the token that `open` demands, of agent `door`, cannot be one"
    assert value == "" or value not in str(problem)


def test_a_token_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidInput) as raised:
        tokens_of(with_provider_tokens((DOOR, guest(OPEN))), {})
    assert [problem.message for problem in raised.value.diagnostics] == [
        "the token that `open` demands, of agent `door`, is missing",
        "the token that `door.open` demands, of agent `guest`, is missing",
    ]
