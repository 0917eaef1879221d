"""The Temporal search attributes of reviews and recoveries. Each one has the type Keyword."""

from typing import Final

PAYMENT_ID: Final = "PaymentId"
CUSTOMER_ID: Final = "CustomerId"
MERCHANT_ID: Final = "MerchantId"
OUTCOME: Final = "Outcome"

KEYWORDS: Final = (PAYMENT_ID, CUSTOMER_ID, MERCHANT_ID, OUTCOME)
