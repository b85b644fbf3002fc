"""What can go wrong with a request; what matters is whether the server may have seen it."""


class WireFailure(Exception):
    """A request got no answer that can be used."""


class NotSent(WireFailure):
    """No byte of the request left, so the server has done nothing for it."""


class Broken(WireFailure):
    """The request was sent, wholly or not; then the connection ended, or what came is no HTTP."""


class TooLarge(WireFailure):
    """The request was sent, and its answer is larger than its reader bears."""


def words(error: BaseException) -> str:
    """Return the reason without what the sentence around it says already."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
