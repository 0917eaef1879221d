"""Which currencies exist, and how many decimals does each have?

Sources: ISO 4217 list one (active codes and their minor units, as of 2026: Bulgaria pays in euros)
and list three (withdrawn codes). Codes whose minor unit is "N.A." (metals, SDR, test codes) can't
be paid with and are left out. What a provider does differently lives with the provider.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 alphabetic code in upper case."""


def _same(codes: str, exponent: int) -> Iterable[tuple[str, int]]:
    return ((code, exponent) for code in codes.split())


ISO_4217: Final[Mapping[str, int]] = dict(
    sorted(
        (
            *_same("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
            *_same("BHD IQD JOD KWD LYD OMR TND", 3),
            *_same("CLF UYW", 4),
            *_same(
                "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP "
                "BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB "
                "EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
                "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR "
                "MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
                "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
                "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
                2,
            ),
        )
    )
)
"""Every active code that has a minor unit → its exponent (decimals of the major unit)."""

WITHDRAWN: Final[Mapping[str, int]] = dict(_same("ANG BGN CUC HRK MRO SLL STD VEF ZWL", 2))
"""Codes withdrawn since 2018 → exponent: late refunds, disputes and replays still carry them."""

EXPONENTS: Final[Mapping[str, int]] = {**ISO_4217, **WITHDRAWN}
"""Every code that an event may carry → ISO 4217's exponent."""


def major(amount_minor: int, exponent: int) -> Decimal:
    """The amount in the major unit, exactly: no float and no rounding, whatever the context.

    `exponent` is the provider's (0 to 4), beside the amount in every event.
    """
    sign, digits, _ = Decimal(amount_minor).as_tuple()
    return Decimal((sign, digits, -exponent))
