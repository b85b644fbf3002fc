"""Call settings on the wire: MCP Mesh's names one to one, and nothing that makes no sense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.domain.spec import CallSettings, Hints, SecretSpec
from meshd.runtime.kwargs import Terms, kwargs_of, terms_of

ALL = CallSettings(
    timeout_seconds=60.0,
    retries_max=3,
    retries_on=("lost", "busy"),
    retries_timeout_seconds=2.5,
    retries_backoff_seconds=0.5,
    retries_budget=0.0,
    breaker_failures=7,
    breaker_open_seconds=2.0,
    balance="first",
    concurrency=4,
    hedge_seconds=0.2,
    streaming=True,
    headers={"X-Service": "trip"},
    propagate=("x-tenant",),
)


def test_the_names_of_mcp_mesh_stand_for_what_they_say_there() -> None:
    call = CallSettings(
        timeout_seconds=60.0,
        retries_max=3,
        streaming=True,
        headers={"X-Service": "trip"},
        auth=SecretSpec(env="TOKEN"),
    )
    assert kwargs_of(call, Hints()) == {
        "timeout": 60.0,
        "retry_count": 3,
        "custom_headers": {"X-Service": "trip"},
        "streaming": True,
        "auth_required": True,
    }


def test_what_is_not_set_is_not_said() -> None:
    assert kwargs_of(CallSettings(), Hints(idempotent=False)) == {}
    assert terms_of({}) == Terms(CallSettings())


def test_every_setting_but_the_token_arrives() -> None:
    said = kwargs_of(ALL, Hints(idempotent=True))
    assert terms_of(said) == Terms(ALL, idempotent=True)
    assert terms_of(kwargs_of(CallSettings(), Hints(read_only=True))) == Terms(
        CallSettings(), idempotent=True, read_only=True
    )
    assert terms_of({"auth_required": True}).auth_required


@pytest.mark.parametrize(
    ("kwargs", "call"),
    [
        ({"retry_count": 1_000}, CallSettings(retries_max=10)),
        ({"retry_count": -1, "timeout": -1, "streaming": "yes"}, CallSettings()),
        ({"timeout": float("nan")}, CallSettings()),
        ({"timeout": 10**400}, CallSettings()),
        ({"custom_headers": {"Authorization": "x", "X-A": 1, "X-B": "b\r\nc", "X-C": "c"}},
         CallSettings(headers={"X-C": "c"})),
        ({"custom_headers": ["X-A"]}, CallSettings()),
        ({"meshd": []}, CallSettings()),
        ({"meshd": {"retries_on": ["lost", "never", 3]}}, CallSettings(retries_on=("lost",))),
        ({"meshd": {"retries_budget": 2, "balance": "most", "hedge": 0}}, CallSettings()),
        ({"meshd": {"propagate": ["X-Tenant", "cookie", 1]}},
         CallSettings(propagate=("x-tenant",))),
        ({"meshd": {"breaker_failures": True, "concurrency": 0}}, CallSettings()),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_as_if_it_had_not_been_said(
    kwargs: dict[str, Any], call: CallSettings
) -> None:
    assert terms_of(kwargs).call == call


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = sorted(kwargs_of(ALL, Hints()) | kwargs_of(ALL, Hints())["meshd"])


@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_nothing_that_a_registry_says_raises(shared: dict[str, Any], own: dict[str, Any]) -> None:
    call = terms_of({**shared, "meshd": own}).call
    assert call.timeout_seconds is None or call.timeout_seconds > 0
