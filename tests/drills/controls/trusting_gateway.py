"""A gateway that accepts every signature. Control of drills 5 and 7."""

from unittest.mock import patch

from payment_pipeline import telemetry
from payment_pipeline.gateway.__main__ import main
from payment_pipeline.providers import Verified
from payment_pipeline.providers.stripe import Stripe

if __name__ == "__main__":
    with patch.object(Stripe, "verify", lambda *_: Verified(secret_index=0)):
        telemetry.run(main)
