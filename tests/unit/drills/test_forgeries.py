"""Is each forgery one, and is it refused by the verification itself?"""

from random import Random

import pytest

from drills.forgeries import MUTATIONS, Genuine
from payment_pipeline.providers import Verified
from payment_pipeline.providers.stripe.signature import verify

BODY = b'{"id": "evt_1", "object": "event"}'
GENUINE = Genuine(BODY, "whsec_test", 1_700_000_000)


def test_what_is_mutated_is_genuine() -> None:
    assert isinstance(verify(BODY, GENUINE.signed(), ["whsec_test"], GENUINE.at_s, 300), Verified)


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_no_mutation_is_what_stripe_sends(number: int) -> None:
    for seed in range(50):
        header, body = MUTATIONS[number](Random(seed), GENUINE)
        assert (header, body) != (GENUINE.signed(), BODY)
        assert header == header.strip(), "HTTP would strip it, and perhaps make it right"
        assert "\n" not in header
        refused = verify(body, header, ["whsec_test"], GENUINE.at_s, 300)
        assert not isinstance(refused, Verified)
