"""The search attributes by which reviews and recoveries are found in the Temporal UI."""

from typing import Final

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from payment_pipeline.domain import search_attributes as names
from payment_pipeline.orchestrator.messages import Outcome, Subject

PAYMENT_ID: Final = SearchAttributeKey.for_keyword(names.PAYMENT_ID)
CUSTOMER_ID: Final = SearchAttributeKey.for_keyword(names.CUSTOMER_ID)
MERCHANT_ID: Final = SearchAttributeKey.for_keyword(names.MERCHANT_ID)
OUTCOME: Final = SearchAttributeKey.for_keyword(names.OUTCOME)


def of(subject: Subject) -> TypedSearchAttributes:
    """Return the attributes of a new review or recovery; missing ids are left out."""
    found = [
        SearchAttributePair(PAYMENT_ID, subject.payment_id),
        SearchAttributePair(OUTCOME, Outcome.PENDING.value),
    ]
    if subject.customer_id is not None:
        found.append(SearchAttributePair(CUSTOMER_ID, subject.customer_id))
    if subject.merchant_id is not None:
        found.append(SearchAttributePair(MERCHANT_ID, subject.merchant_id))
    return TypedSearchAttributes(found)
