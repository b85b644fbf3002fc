import pytest

from meshd.callables.references import Reference, printable, read_reference


@pytest.mark.parametrize(
    ("text", "module", "path"),
    [
        ("trip:plan", "trip", ("plan",)),
        ("trip.deep.plan:Planner.plan", "trip.deep.plan", ("Planner", "plan")),
        ("_trip:__private", "_trip", ("__private",)),
        ("größe:messen", "größe", ("messen",)),
    ],
)
def test_a_reference_is_a_module_and_a_way(text: str, module: str, path: tuple[str, ...]) -> None:
    reference = Reference(module, path)
    assert read_reference(text) == reference
    assert (str(reference), reference.top) == (text, module.partition(".")[0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("trip", "it needs exactly one colon between module and name"),
        ("a:b:c", "it needs exactly one colon between module and name"),
        (":plan", "the module is missing"),
        ("trip:", "the name is missing"),
        ("trip..a:b", "a part between two dots is empty"),
        ("trip:f()", "`f()` is not an identifier"),
        ("ﬁle:x", "`ﬁle` is not an identifier"),
        ("trip:\x1b[1m", "`\\x1b[1m` is not an identifier"),
        ("trip:__dict__.get", "`__dict__` is internal to Python"),
        (f"trip:{'a' * 250}", "it is longer than 250 characters"),
    ],
)
def test_what_is_no_reference_has_a_reason(text: str, reason: str) -> None:
    assert read_reference(text) == reason


def test_long_text_is_shortened_for_messages() -> None:
    assert printable("a" * 100) == "a" * 79 + "…"
