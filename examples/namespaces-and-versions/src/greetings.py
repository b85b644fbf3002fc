"""Ways to greet, and someone who greets in whichever way is to be had."""

from collections.abc import Callable


def hello(name: str) -> str:
    """Greet."""
    return f"Hello {name}!"


def good_day(name: str) -> str:
    """Greet with manners."""
    return f"Good day, {name}."


def ahoy(name: str) -> str:
    """Greet in a way that is being tried out."""
    return f"Ahoy {name}!"


def welcome(name: str, greet: Callable[..., str]) -> str:
    """Welcome a guest."""
    return f"{greet(name=name)} Come in."
