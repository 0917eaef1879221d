"""Property tests of Stripe's normalization: no body raises."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payment_pipeline.domain.events import PAYMENT_EVENT, EventBase
from payment_pipeline.domain.failures import Rejected, Unmodelled
from support.pairs import normalize, pairs

EVENTS = [json.loads(pair.body) for pair in pairs() if pair.provider == "stripe"]

WEIRD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 2**64, 253_402_300_800, -1, 0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=300),
    st.sampled_from(["", "null", "\0", "zzz", "usd", "0.5", "card", "x" * 256]),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text()), max_size=3
    ),
)


def places(found: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value within."""
    paths: list[tuple[Any, ...]] = []
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, dict):
        inner = found.items()
    elif isinstance(found, list):
        inner = enumerate(found)
    for key, value in inner:
        paths.append((*path, key))
        paths += places(value, (*path, key))
    return paths


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A genuine body with up to four fields dropped or replaced by any value."""
    event = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
    for _ in range(draw(st.integers(1, 4))):
        *parents, last = draw(st.sampled_from(places(event) or [("id",)]))
        holder = event
        for key in parents:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = draw(WEIRD)
        else:
            del holder[last]
    return json.dumps(event).encode()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_mutated_body_has_one_of_three_answers(body: bytes) -> None:
    answer = normalize(body)
    if isinstance(answer, EventBase):
        written = answer.model_dump_json(exclude_none=True)
        assert PAYMENT_EVENT.validate_json(written) == answer
        assert "\0" not in written
        assert (answer.currency is None) == (answer.currency_exponent is None)
    elif isinstance(answer, Rejected):
        assert answer.errors
        assert all("\0" not in error.path + error.message for error in answer.errors)
    else:
        assert isinstance(answer, Unmodelled)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_in_normalize(body: bytes) -> None:
    assert isinstance(normalize(body), Rejected | Unmodelled)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(EVENTS), st.integers(-(2**63), 2**63 - 1), st.sampled_from(["usd", "isk"]))
def test_an_amount_keeps_every_digit(event: dict[str, Any], amount: int, currency: str) -> None:
    name = "amount_due" if event["type"].startswith("invoice.") else "amount"
    if name not in event["data"]["object"]:
        return
    found = {**event["data"]["object"], name: amount, "currency": currency}
    answer = normalize(json.dumps({**event, "data": {"object": found}}).encode())
    assert isinstance(answer, EventBase)
    assert answer.amount_minor == amount
