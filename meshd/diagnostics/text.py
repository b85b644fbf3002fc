"""Text of users made fit for messages."""


def shortened(text: str, limit: int = 60) -> str:
    """Return the text at a bearable length."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
