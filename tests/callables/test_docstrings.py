"""What is read from docstrings, and what of it counts."""

from typing import Any

import pytest

from meshd.callables.docstrings import DocString, ParameterText, read_docstring, simple_type
from tests.callables.compiling import parameter, properties_of, tool_of, without_hints

GOOGLE = """Plan a trip.

    Long words
    on it.

    Args:
        city (str): Where to,
            in full.
        days (int, optional): How long.
        *names: Who.

    Returns:
        The trip.
    """
NUMPY = """Plan a trip.

    Long words
    on it.

    Parameters
    ----------
    city : str
        Where to,
        in full.
    days : int, optional
        How long.
    *names
        Who.

    Returns
    -------
    str
        The trip.
    """
SPHINX = """Plan a trip.

    Long words
    on it.

    :param str city: Where to,
        in full.
    :param days: How long.
    :type days: int
    :param names: Who.
    :returns: The trip.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX])
def test_styles(text: str) -> None:
    assert read_docstring(text) == DocString(
        "Plan a trip.\n\nLong words\non it.",
        {
            "city": ParameterText("Where to, in full.", str),
            "days": ParameterText("How long.", int),
            "names": ParameterText("Who.", None),
        },
    )


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (None, ""),
        ("  \n ", ""),
        ("One line.", "One line."),
        ("One line.\n\n    Indented: as code\n\n    No: section", None),
        # A line with a colon is no parameter.
        ("Convert.\n\nNote: a hint.\nUse: sparingly.", None),
        ("Broken.\n\n:param : :", None),
    ],
)
def test_texts_without_parameters(text: str | None, description: str | None) -> None:
    found = read_docstring(text)
    assert found.parameters == {}
    if description is not None:
        assert found.description == description
    else:
        assert text is not None
        assert found.description.split("\n")[0] == text.split("\n")[0]
        assert found.description.split() == text.split()


def test_attributes_are_no_parameters_and_names_may_share_a_line() -> None:
    text = (
        "A.\n\nParameters\n----------\na, b : float\n    Both.\n\nAttributes\n----------\nc : int\n"
    )
    both = ParameterText("Both.", float)
    assert read_docstring(text) == DocString("A.", {"a": both, "b": both})


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (None, None),
        ("", None),
        ("str", str),
        ("`str`", str),
        ("string", str),
        ("int, optional", int),
        ("int (optional)", int),
        ("int, default 3", int),
        ("int, default: 3", int),
        ("float, default=1.0, optional", float),
        ("boolean", bool),
        ("list", list),
        ("list[int]", list[int]),
        ("List[str]", list[str]),
        ("list of int", list[int]),
        ("list of strings", list[str]),
        ("list of Widget", list),
        ("dict", dict),
        ("dict[str, int]", dict),
        ("Dict[str, Any]", dict),
        ("int or None", int | None),
        ("str | None", str | None),
        ("Optional[int]", int | None),
        ("Widget or None", None),
        ("Widget", None),
        ("int or str", None),
        ("array-like", None),
        ("{'a', 'b'}", None),
    ],
)
def test_types_in_words(words: str | None, meaning: Any) -> None:
    assert simple_type(words) == meaning


def test_untyped_parameters_take_their_types_from_the_docstring() -> None:
    def untyped(city: Any, days: Any = 1, names: Any = None) -> Any:
        return (city, days, names)

    untyped.__doc__ = GOOGLE
    without_hints(untyped)
    assert properties_of(untyped) == {
        "city": {"type": "string", "description": "Where to, in full."},
        "days": {"type": "integer", "description": "How long.", "default": 1},
        "names": {"description": "Who.", "default": None},
    }
    assert tool_of(untyped).signature.description == "Plan a trip.\n\nLong words\non it."


def test_hints_and_the_manifest_win_over_the_docstring() -> None:
    def typed(city: int, days: Any, names: Any) -> Any:
        return (city, days, names)

    typed.__doc__ = GOOGLE
    said = [
        parameter("days", schema={"type": "string"}),
        parameter("names", description="All."),
    ]
    assert properties_of(typed, *said) == {
        "city": {"type": "integer", "description": "Where to, in full."},
        "days": {"type": "string", "description": "How long."},
        "names": {"description": "All."},
    }


def test_a_default_that_does_not_fit_the_docstrings_type_is_not_shown() -> None:
    def untyped(days: Any = "many") -> Any:
        """Wait.

        :param int days: How long.
        """
        return days

    assert properties_of(without_hints(untyped)) == {
        "days": {"type": "integer", "description": "How long."}
    }
