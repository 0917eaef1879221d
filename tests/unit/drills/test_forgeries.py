"""Each mutation differs from the genuine webhook, and the verification rejects it."""

from random import Random

import pytest

from drills.forgeries import MUTATIONS, Genuine
from payment_pipeline.providers import Verified
from payment_pipeline.providers.stripe.signature import verify

BODY = b'{"id": "evt_1", "object": "event"}'
GENUINE = Genuine(BODY, "whsec_test", 1_700_000_000)


def test_the_webhook_before_the_mutation_verifies() -> None:
    assert isinstance(verify(BODY, GENUINE.signed(), ["whsec_test"], GENUINE.at_s, 300), Verified)


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_every_mutation_is_rejected(number: int) -> None:
    for seed in range(50):
        header, body = MUTATIONS[number](Random(seed), GENUINE)
        assert (header, body) != (GENUINE.signed(), BODY)
        assert header == header.strip(), "HTTP would strip the header, which may make it valid"
        assert "\n" not in header
        refused = verify(body, header, ["whsec_test"], GENUINE.at_s, 300)
        assert not isinstance(refused, Verified)
