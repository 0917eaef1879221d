"""Searches for a body or signature that breaks a promise of a provider, until the time is up.

`make fuzz ARGS="--seconds 3600"`; `--seed` repeats an earlier run. Needs no component. An input
that breaks a promise is made small, printed, and kept in `var/fuzz`; the exit code is then 1.
"""

import argparse
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz import bodies, promises
from support.pairs import Pair, pairs
from support.repository import ROOT

ROUND_EXAMPLES: Final = 1000
KEPT: Final = ROOT / "var" / "fuzz"

Target = tuple[st.SearchStrategy[Any], Callable[[Any], None]]


def targets() -> dict[str, Target]:
    """Return the targets by name: a strategy for inputs, and the check of each input."""
    found: dict[str, Target] = {}
    known = pairs()
    for provider in sorted({pair.provider for pair in known}):
        own = [pair for pair in known if pair.provider == provider]

        def answered(body: bytes, provider: str = provider) -> None:
            promises.any_body_has_an_answer(provider, body)

        found[f"{provider}, edited JSON"] = bodies.edited_json(own), answered
        found[f"{provider}, edited bytes"] = bodies.edited_bytes(own), answered
        found[f"{provider}, any bytes"] = st.binary(max_size=400), answered
        found[f"{provider}, signatures"] = _signed(own), _verified
    return found


def _signed(own: list[Pair]) -> st.SearchStrategy[tuple[Pair, str]]:
    return st.sampled_from(own).flatmap(
        lambda pair: st.tuples(st.just(pair), bodies.signatures(pair))
    )


def _verified(given_: tuple[Pair, str]) -> None:
    promises.only_the_genuine_verifies(*given_)


def fuzz(seconds: float, first_seed: int) -> int:
    """Test all targets in rounds until the time is up, and return the exit code."""
    tried: Counter[str] = Counter()
    began = monotonic()
    number = first_seed
    while monotonic() - began < seconds:
        for name, (inputs, check) in targets().items():
            if broken := _round(inputs, check, number, tried, name):
                _show(name, number, broken)
                return 1
        number += 1
    elapsed_s = monotonic() - began
    for name, count in tried.items():
        print(f"{name:28} {count:>10,}")
    print(
        f"{tried.total():,} inputs in {elapsed_s:.0f} s, seeds {first_seed} to {number - 1}: "
        "no promise broken"
    )
    return 0


def _round(
    inputs: st.SearchStrategy[Any],
    check: Callable[[Any], None],
    number: int,
    tried: Counter[str],
    name: str,
) -> tuple[Any, BaseException] | None:
    last: list[Any] = [None]

    @seed(number)
    @settings(
        max_examples=ROUND_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
    )
    @given(inputs)
    def one(value: Any) -> None:  # noqa: ANN401 - a body, or a body and its signature
        tried[name] += 1
        last[0] = value
        check(value)

    try:
        one()
    except Exception as failure:  # noqa: BLE001 - the fuzzer searches for any exception
        return last[0], failure
    return None


def _show(name: str, number: int, broken: tuple[Any, BaseException]) -> None:
    value, failure = broken
    traceback.print_exception(failure)
    is_body = isinstance(value, bytes)
    body, signature = (value, "") if is_body else (value[0].body, repr(value[1]))
    KEPT.parent.mkdir(mode=0o700, exist_ok=True)
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{sha256(body).hexdigest()[:16]}.body"
    path.write_bytes(body)
    print(f"{name}: seed {number} breaks a promise. The body is in {path}. {signature}".rstrip())


def main() -> int:
    """Read the command line, and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    asked = parser.parse_args()
    return fuzz(asked.seconds, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
