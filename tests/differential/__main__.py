"""The long run, by hand: `python -m tests.differential --cases 200000 --seed 7`.

Prints each kind of difference as it is found, and at the end with the smallest request of it; exits
with 1 if there is any. The same seed asks the same requests.
"""

import argparse
import collections
import random
import re
import time

from hypothesis import Phase, given, settings
from hypothesis import seed as seeded

from tests.differential.apps import Apps, two_apps
from tests.differential.requests import QUIETLY, calls
from tests.differential.wire import Request

BATCH = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311
    options = parser.parse_args()
    say(f"{options.cases:,} cases, seed {options.seed}")
    found: dict[str, list[tuple[str, Request]]] = collections.defaultdict(list)
    began = time.perf_counter()
    with two_apps() as apps:
        for number, at in enumerate(range(0, options.cases, BATCH)):
            explore(apps, min(BATCH, options.cases - at), options.seed + number * 1_000_003, found)
            seconds = time.perf_counter() - began
            say(
                f"{apps.asked:,} in {seconds:.0f} s, {apps.by_lane:,} of them by the lane; "
                f"{len(found)} kinds of differences"
            )
    for kind, cases in found.items():
        text, request = min(cases, key=lambda case: len(str(case[1])))
        say(f"\n--- {kind}: {len(cases)} times\n{text}\n\n{request}")
    return 1 if found else 0


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def explore(apps: Apps, cases: int, seed: int, found: dict[str, list[tuple[str, Request]]]) -> None:
    """Ask many requests, and gather what differs by its kind."""

    @seeded(seed)
    @settings(QUIETLY, max_examples=-(-cases // 2), derandomize=False, phases=(Phase.generate,))
    @given(calls(apps.signatures))
    def ask(requests: tuple[Request, ...]) -> None:
        for request in requests:
            if text := apps.difference(request):
                cases_of = found[kind_of(text)]
                cases_of.append((text, request))
                if len(cases_of) == 1:
                    say(f"\nfound: {text}\n\n{request}\n")

    ask()


def kind_of(text: str) -> str:
    """Return what differences of one kind have in common."""
    return re.sub(r"[0-9]+|\('id', [^)]*\)", "#", text)[:300]


if __name__ == "__main__":
    raise SystemExit(main())
