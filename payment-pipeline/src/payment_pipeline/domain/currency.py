"""ISO 4217 currencies and their exponents: the standard's, and a provider's where it differs.

Sources: ISO 4217 table A.1 (active codes); Stripe, "Supported currencies" (zero-decimal,
three-decimal, special cases).
"""

from typing import Annotated

from pydantic import Field

CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 alphabetic code in upper case."""
