"""`meshd registry serve`: the registry alone, in the foreground."""

from meshd.cli.output import say
from meshd.cli.run import configure_logging, status_of_end
from meshd.clock import SystemClock
from meshd.daemon.garbage import tune_garbage_collection
from meshd.daemon.registry import GC_THRESHOLDS, RegistryOptions, serve_registry
from meshd.registry.keeper import Keeper


def serve(options: RegistryOptions, *, verbose: bool) -> int:
    """Serve the registry until it is stopped; return the exit status."""
    configure_logging(verbose=verbose)
    tune_garbage_collection(GC_THRESHOLDS)
    import uvloop

    def announce(url: str, keeper: Keeper) -> None:
        say(f"registry:  {url}")
        say(f"store:     {keeper.store.kind}" + (f" ({keeper.problem})" if keeper.problem else ""))
        say("stop:      Ctrl-C")

    number = uvloop.run(serve_registry(options, SystemClock(), announce))
    say("stopped")
    return status_of_end(number)
