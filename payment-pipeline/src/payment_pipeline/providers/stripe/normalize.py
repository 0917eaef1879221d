"""How does a Stripe event become a `PaymentEvent`?"""

from payment_pipeline.domain.events import PaymentEvent
from payment_pipeline.domain.failures import Rejected, Unmodelled
from payment_pipeline.domain.raw import RawEvent
from payment_pipeline.providers import Context


def normalize(raw: RawEvent, context: Context) -> PaymentEvent | Rejected | Unmodelled:
    """Turn a raw record into one `PaymentEvent`, or say why not."""
    raise NotImplementedError
