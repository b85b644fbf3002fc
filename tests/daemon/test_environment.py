"""What processes find in their environment, and what is kept from them."""

from pathlib import Path

import pytest

from meshd.daemon.environment import common_environment, environment_of, secret_sources
from meshd.diagnostics.model import Span
from meshd.domain.spec import AgentSpec, SecretSpec
from meshd.errors import InvalidInput

VAULT = AgentSpec(
    name="vault", env={"TOKEN": SecretSpec(env="VAULT_TOKEN"), "MODE": "prod", "KEY": "text"}
)
CART = AgentSpec(name="cart", env={"TOKEN": SecretSpec(env="CART_TOKEN")})
OUTSIDE = {"PATH": "/bin", "VAULT_TOKEN": "v", "CART_TOKEN": "c", "MODE": "test"}


def test_sources_of_secrets_are_hidden_from_all() -> None:
    assert secret_sources([VAULT, CART]) == {"VAULT_TOKEN", "CART_TOKEN"}
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
