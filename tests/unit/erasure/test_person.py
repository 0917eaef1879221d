"""Tests that a person is found by all ids that lead to them, and by nothing else."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payment_pipeline.domain.events import EventBase
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.personal_data import pseudonym
from payment_pipeline.erasure.person import Person, checked, surrogate_key
from support.mentions_of_jane import HERS, OTHERS
from support.pairs import CONTEXT, normalize
from support.people import KEY, person
from support.personal_texts import NAMES_WITHOUT_A_SPACE, PERSONAL_TEXTS
from support.stripe_bodies import body, example

JANE = person("cus_jane", "pi_1", "ch_1")

SHORT = ("7", "51", "ab", "12345", "%", "'", '"', "\\", "a' OR '1'='1", "é")
AS_IN_BODIES = (
    '{"customer": "jöhn+x@example.com"}',
    '{"customer": "j\\u00f6hn+x@example.com"}',
    '{"customer": "j\\u00F6hn\\u002bx\\u0040example.com"}',
    '{"email": "jöhn+x@example.com"}',
    '{"description": "Mail to jöhn+x@example.com."}',
    '{"url": "/v1/customers/j%C3%B6hn%2Bx%40example.com/sources"}',
    '{"metadata": {"jöhn+x@example.com": 1}}',
)
AS_IN_PIECES = tuple(each[:-1] for each in AS_IN_BODIES)
"""No JSON, because each piece was cut off."""
OTHERS_ADDRESSES = (
    '{"customer": "ajöhn+x@example.com"}',
    '{"customer": "\\u00e9jöhn+x@example.com"}',
    '{"customer": "jöhn+x@example.common"}',
    '{"customer": "hn+x@example.com"}',
    '{"customer": "john+x@example.com"}',
    '{"url": "/v1/customers/aj%C3%B6hn%2Bx%40example.com/sources"}',
)


@pytest.mark.parametrize(
    "sent",
    [
        *(text.encode() for text in HERS),
        b'{"payment_intent": "pi_1", "evidence": {"customer_name": "Jane"}}',
    ],
)
def test_bodies_about_the_person_are_found(sent: bytes) -> None:
    assert JANE.is_in(sent)


@pytest.mark.parametrize(
    "sent", [*(text.encode() for text in OTHERS), b'{"payment_intent": "pi_12"}', b"pi_1"]
)
def test_bodies_about_other_people_are_not_found(sent: bytes) -> None:
    assert not JANE.is_in(sent)


@pytest.mark.parametrize("wrong", ["", "null", "cus_\0", "cus_\udce9", "x" * 256])
def test_an_id_that_the_normalizer_refuses_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match="can't be a customer's id"):
        checked(wrong)


IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(IDS, st.sampled_from([*PERSONAL_TEXTS, *NAMES_WITHOUT_A_SPACE, *SHORT])))
def test_every_id_that_the_normalizer_accepts_leads_to_its_person(customer_id: str) -> None:
    sent = example("charge", customer=customer_id)
    event = normalize(body("charge.succeeded", sent))
    if not isinstance(event, EventBase) or event.customer_id is None:
        return
    found = Person("stripe", checked(customer_id), CONTEXT.pseudonym_key)
    assert event.customer_id in found.customer_ids
    by_pseudonym = Person("stripe", event.customer_id, CONTEXT.pseudonym_key)
    raw = json.loads(body("charge.succeeded", sent))
    for escaped in (True, False):
        written = json.dumps(raw, ensure_ascii=escaped).encode()
        assert found.is_in(written)
        assert by_pseudonym.is_in(written)
    assert found.is_in(event.model_dump_json().encode())
    assert found.is_key(customer_id.encode())
    assert not found.is_in(body("charge.succeeded", example("charge", customer="cus_john")))


@pytest.mark.parametrize("written", [*AS_IN_BODIES, *AS_IN_PIECES])
def test_an_address_is_found_however_it_is_written(written: str) -> None:
    assert person("jöhn+x@example.com").is_in(written.encode())


@pytest.mark.parametrize("written", OTHERS_ADDRESSES)
def test_a_longer_address_is_another_person(written: str) -> None:
    assert not person("jöhn+x@example.com").is_in(written.encode())


@pytest.mark.parametrize("word", ["51", "Jane Roe", "gold", "100%"])
def test_an_id_that_may_be_a_word_counts_only_where_a_customer_is_named(word: str) -> None:
    found = person(word)
    named = json.dumps(word)
    for written in (
        f'{{"customer": {named}}}',
        f'{{"customer": {{"id": {named}}}}}',
        f'{{"id": {named}, "object": "customer"}}',
        f'{{"customer_id": {named}}}',
        f'{{"customer": {named}',
    ):
        assert found.is_in(written.encode()), written
    for written in (
        f'{{"name": {named}}}',
        f'{{"customer_name": {named}}}',
        f'{{"id": {named}, "object": "coupon"}}',
        f'{{"network_decline_code": {named}, "customer": "cus_john"}}',
        f'{{"description": "About {word}."}}',
        f'{{"customer": "{word} 2"}}',
    ):
        assert not found.is_in(written.encode()), written


def test_objects_with_a_pseudonym_lead_to_bodies_with_the_id_behind_it() -> None:
    order = "order of Jane"
    found = person("cus_jane", pseudonym(order, KEY))
    assert found.is_in(json.dumps({"payment_intent": order}).encode())
    assert not found.is_in(b'{"payment_intent": "order of John"}')


def test_the_key_of_the_marts_is_one_of_the_names() -> None:
    # As Trino makes it of lower(to_hex(md5(to_utf8('6:stripe' || '8:cus_jane')))).
    assert surrogate_key(("stripe", "cus_jane")) in JANE.names
    assert len(surrogate_key(("stripe", "cus_jane"))) == 32
    scoped = replace(JANE, scopes=frozenset({("platform", False)}))
    assert surrogate_key(("stripe", "platform", "false", "cus_jane")) in scoped.names
