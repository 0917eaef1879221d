"""The currencies of ISO 4217, with the number of decimals of each.

Sources: ISO 4217 list one (active codes and their minor units, as of 2026, when Bulgaria has the
euro) and list three (withdrawn codes). Codes whose minor unit is "N.A." (metals, SDR, test codes)
are no means of payment and are left out. A provider's differences from ISO 4217 are in the
provider's module.
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
"""Each active code that has a minor unit → its exponent (decimals of the major unit)."""

WITHDRAWN: Final[Mapping[str, int]] = dict(_same("ANG BGN CUC HRK MRO SLL STD VEF ZWL", 2))
"""Codes withdrawn since 2018 → exponent. Late refunds, disputes and replays still carry them."""

EXPONENTS: Final[Mapping[str, int]] = {**ISO_4217, **WITHDRAWN}
"""Each code that an event may carry → ISO 4217's exponent."""


def major(amount_minor: int, exponent: int) -> Decimal:
    """The exact amount in the major unit, without floats and without rounding.

    Args:
        amount_minor: the amount in the provider's minor unit.
        exponent: the provider's exponent, 0 to 4. Every event carries it with the amount.
    """
    sign, digits, _ = Decimal(amount_minor).as_tuple()
    return Decimal((sign, digits, -exponent))
