"""The garbage collector of processes that serve for long."""

import gc

Thresholds = tuple[int, int, int]


def tune_garbage_collection(thresholds: Thresholds) -> None:
    """Collect what starting left, then keep the collector from looking at what lives for ever.

    Without it a full collection over FastMCP's import takes some 50 ms, which shows as the slowest
    calls.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
