"""Tests that a person is found by all ids that lead to them, and by nothing else."""

import pytest

from payment_pipeline.domain.failures import UserError
from payment_pipeline.erasure.person import Person, checked, surrogate_key
from support.mentions_of_jane import HERS, OTHERS

JANE = Person("stripe", "cus_jane", objects=frozenset({"pi_1", "ch_1"}))


@pytest.mark.parametrize(
    "body",
    [
        *(text.encode() for text in HERS),
        b'{"payment_intent": "pi_1", "evidence": {"customer_name": "Jane"}}',
    ],
)
def test_bodies_about_the_person_are_found(body: bytes) -> None:
    assert JANE.is_in(body)


@pytest.mark.parametrize(
    "body", [*(text.encode() for text in OTHERS), b'{"payment_intent": "pi_12"}', b"pi_1"]
)
def test_bodies_about_other_people_are_not_found(body: bytes) -> None:
    assert not JANE.is_in(body)


@pytest.mark.parametrize("wrong", ["", "cus", "a' OR '1'='1", "cus_1 ", "%", "cus_é"])
def test_an_invalid_customer_id_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match="is not a customer id"):
        checked(wrong)


def test_the_key_of_the_marts_is_one_of_the_names() -> None:
    # As Trino makes it of lower(to_hex(md5(to_utf8('6:stripe' || '8:cus_jane')))).
    assert surrogate_key(("stripe", "cus_jane")) in JANE.names
    assert len(surrogate_key(("stripe", "cus_jane"))) == 32
