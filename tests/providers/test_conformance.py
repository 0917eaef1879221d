"""The tests that every provider of the registry must pass."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.bodies import edited_bytes, edited_json, signatures
from fuzz.promises import any_body_has_an_answer, only_the_genuine_verifies
from payment_pipeline.domain.declines import CLASSES
from payment_pipeline.domain.events import CONTROL_KINDS, KINDS, PAYMENT_EVENT, EventBase
from payment_pipeline.domain.failures import FailureClass, Rejected
from payment_pipeline.providers import (
    ControlTotal,
    Envelope,
    Provider,
    Refusal,
    Unparseable,
    Verified,
    event_headers,
    providers,
)
from support.closed_lists import closed_statuses
from support.pairs import FOLDER, Pair, as_json, normalize, pairs
from support.personal_texts import PERSONAL_TEXTS

PAIRS: Final = pairs()
EACH_PROVIDER: Final = pytest.mark.parametrize(
    "provider", providers().values(), ids=lambda found: found.name
)
EACH_PAIR: Final = pytest.mark.parametrize(
    "pair", PAIRS, ids=lambda pair: f"{pair.provider}/{pair.name}"
)
NO_EVENTS: Final = (b"", b"{", b"null", b"[]", b"7", b"{}", b"\xff\xfe", b'{"id":NaN}', b"[" * 2000)
"""Bodies that are an event of no provider."""
TOLERANCE_S: Final = 300
Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a value of a body."""
EXAMPLES: Final = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


FAILED: Final = ("charge.failed", "payment.failed")


def own(provider: Provider) -> list[Pair]:
    return [pair for pair in PAIRS if pair.provider == provider.name]


@EACH_PROVIDER
def test_a_provider_has_a_fixture_pair(provider: Provider) -> None:
    assert own(provider), f"write {FOLDER / provider.name}/<event type>.body.json"


def test_every_fixture_pair_is_of_a_provider() -> None:
    assert {pair.provider for pair in PAIRS} == set(providers())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_fixture_pair(kind: str) -> None:
    """The tests of the replay and drill 12 use the pairs as data for each kind."""
    with_pair = {pair.event["kind"] for pair in PAIRS}
    assert kind in with_pair, f"write a fixture pair of a {kind}: {FOLDER}/<provider>/*.body.json"


@EACH_PROVIDER
def test_the_names_of_a_provider_fit_paths_headers_settings_and_topics(provider: Provider) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.name)
    assert re.fullmatch(r"[a-z][a-z0-9-]*", provider.signature_header)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", each) for each in provider.resources)
    assert len(set(provider.resources)) == len(provider.resources)
    assert "other" in provider.resources


@EACH_PROVIDER
def test_a_new_secret_fits_a_line_of_a_file(provider: Provider) -> None:
    random = "Aa0_-" * 8
    secret = provider.new_secret(random)
    assert random in secret
    assert provider.is_secret(secret)
    assert secret.isascii()
    assert not set(secret) & set(", \t\r\n")


@EACH_PROVIDER
def test_an_empty_text_and_a_prefix_alone_are_no_secrets(provider: Provider) -> None:
    assert not provider.is_secret("")
    assert not provider.is_secret(provider.new_secret(""))


@EACH_PAIR
def test_a_signed_fixture_verifies_and_becomes_its_event(pair: Pair) -> None:
    provider, now_s = providers()[pair.provider], pair.signed_at_s + 1

    def verify(body: bytes) -> Verified | Refusal:
        return provider.verify(body, pair.signature, (pair.secret,), now_s, TOLERANCE_S)

    assert isinstance(verify(pair.body), Verified)
    assert not isinstance(verify(pair.body + b" "), Verified)
    assert not isinstance(provider.read(pair.body), Unparseable)
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase), event
    assert as_json(event) == pair.event


@EACH_PAIR
def test_each_live_secret_verifies_and_no_other(pair: Pair) -> None:
    provider, now_s = providers()[pair.provider], pair.signed_at_s + 1

    def verify(signature: str | None, *secrets: str) -> Verified | Refusal:
        return provider.verify(pair.body, signature, secrets, now_s, TOLERANCE_S)

    assert verify(pair.signature, "other", pair.secret) == Verified(1)
    assert verify(pair.signature, "other") is Refusal.MISMATCH
    assert verify(pair.signature, "") is Refusal.MISMATCH
    assert verify(pair.signature) is Refusal.MISMATCH
    assert verify(None, pair.secret) is Refusal.MISSING
    assert verify("", pair.secret) is Refusal.MISSING
    assert verify("é", pair.secret) is Refusal.MALFORMED


@EACH_PAIR
def test_the_gateway_reads_the_same_event_as_the_normalizer(pair: Pair) -> None:
    provider = providers()[pair.provider]
    envelope, event = provider.read(pair.body), normalize(pair.body, pair.provider)
    assert isinstance(envelope, Envelope)
    assert isinstance(event, EventBase)
    assert envelope.event_id == event.event_id
    assert envelope.event_type == event.provider_event_type
    assert envelope.resource in provider.resources
    assert envelope.key
    assert envelope.occurred_at in (None, event.occurred_at)
    assert envelope.account == event.merchant_id


@EACH_PAIR
def test_an_event_is_equal_after_json(pair: Pair) -> None:
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase)
    assert event.provider == pair.provider
    assert PAYMENT_EVENT.validate_json(event.model_dump_json(exclude_none=True)) == event


@EACH_PAIR
def test_the_status_is_in_the_closed_list_of_its_kind(pair: Pair) -> None:
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase)
    assert event.status in closed_statuses(type(event))
    assert event.status != "unknown", "map the provider's word, or give the fixture a known one"


@EACH_PAIR
def test_the_class_of_a_decline_is_the_class_of_its_reason(pair: Pair) -> None:
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase)
    declined = getattr(event, "decline", None)
    if pair.event["event_type"] in FAILED:
        assert declined is not None, "an attempt that failed says why: fill in `decline`"
    if declined is not None:
        assert declined.reason is not None, "map the provider's codes to reasons"
        assert declined.decline_class is CLASSES[declined.reason]


@EACH_PAIR
def test_the_identity_of_an_event_is_stable(pair: Pair) -> None:
    provider, again = providers()[pair.provider], pair.body + b"\n"
    envelope, event = provider.read(pair.body), normalize(pair.body, pair.provider)
    assert isinstance(envelope, Envelope)
    assert isinstance(event, EventBase)
    assert provider.read(pair.body) == envelope
    assert event.identity_sha256 == envelope.identity_sha256
    if envelope.identity_sha256 is not None:
        assert re.fullmatch("[0-9a-f]{64}", envelope.identity_sha256)
        assert provider.read(again) == envelope, "white space makes no other event"


@EACH_PROVIDER
def test_two_events_have_two_identities(provider: Provider) -> None:
    events = [normalize(pair.body, pair.provider) for pair in own(provider)]
    identities = {
        event.identity_sha256 or event.body_sha256
        for event in events
        if isinstance(event, EventBase)
    }
    assert len(identities) == len(events)


@EACH_PAIR
def test_the_control_total_of_a_body_agrees_with_its_event(pair: Pair) -> None:
    total = providers()[pair.provider].control_total(pair.body)
    kind = pair.event["kind"]
    if kind not in CONTROL_KINDS:
        assert total is None, f"the ledger adds up no amount of a {kind}: control_total has one"
        return
    assert total is not None, (
        f"the ledger adds up the amounts of {kind}: control_total of providers/{pair.provider} "
        "must read it, or has_control_total in domain/events.py be False"
    )
    assert total == ControlTotal(pair.event["currency"], pair.event["amount_minor"])


@pytest.mark.parametrize("body", NO_EVENTS, ids=lambda body: repr(body[:12]))
@EACH_PROVIDER
def test_a_body_that_is_no_event_has_an_answer_for_each_stage(
    provider: Provider, body: bytes
) -> None:
    assert isinstance(provider.read(body), Unparseable)
    rejected = normalize(body, provider.name)
    assert isinstance(rejected, Rejected)
    assert rejected.failure is FailureClass.UNPARSEABLE
    assert rejected.errors
    assert provider.control_total(body) is None


@EACH_PROVIDER
def test_a_changed_body_ends_in_one_of_the_outcomes(provider: Provider) -> None:
    of_fields: st.SearchStrategy[bytes] = edited_json(own(provider))
    of_bytes: st.SearchStrategy[bytes] = edited_bytes(own(provider))

    @EXAMPLES
    @given(st.one_of(of_fields, of_bytes, st.binary(max_size=200)))
    def each(body: bytes) -> None:
        any_body_has_an_answer(provider.name, body)

    each()


@EACH_PROVIDER
def test_a_changed_signature_verifies_nothing(provider: Provider) -> None:
    pair = own(provider)[0]

    @EXAMPLES
    @given(signatures(pair))
    def each(signature: str) -> None:
        only_the_genuine_verifies(pair, signature)

    each()


@EACH_PAIR
def test_no_text_of_a_body_shows_a_person_outside_the_raw_store(pair: Pair) -> None:
    """Each text of the body is replaced in turn, and all texts at once."""
    found = json.loads(pair.body)
    paths = list(texts(found))
    texts_in_turn = cycle(PERSONAL_TEXTS)
    for path in paths:
        for _ in range(4):
            assert_not_shown(pair.provider, found, (path,), next(texts_in_turn))
    decisive = {path for path in paths if path[-1] in {"id", "type", "object", "currency"}}
    for text in PERSONAL_TEXTS:
        assert_not_shown(pair.provider, found, paths, text)
        assert_not_shown(
            pair.provider, found, [each for each in paths if each not in decisive], text
        )


def assert_not_shown(provider: str, body: object, paths: Iterable[Path], text: str) -> None:
    """Neither the record of the gateway nor the outcome of the normalizer holds the text."""
    changed: Any = json.loads(json.dumps(body))
    for *parents, last in paths:
        holder = changed
        for key in parents:
            holder = holder[key]
        holder[last] = text
    sent = json.dumps(changed).encode()
    outcome, envelope = normalize(sent, provider), providers()[provider].read(sent)
    shown = as_json(outcome) if isinstance(outcome, EventBase) else outcome
    assert text not in repr(shown), paths
    if isinstance(envelope, Envelope):
        assert text not in repr((envelope, event_headers(provider, envelope))), paths
    else:
        assert text not in repr(envelope), paths


def texts(found: object, path: Path = ()) -> Iterator[Path]:
    """The path of every text within."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from texts(value, (*path, key))
    elif isinstance(found, list):
        for position, value in enumerate(found):
            yield from texts(value, (*path, position))
    elif isinstance(found, str):
        yield path
