"""Texts that identify a person, in the forms in which merchants and senders write them."""

from typing import Final

PERSONAL_TEXTS: Final = (
    "jane@example.com",
    "Jane Roe",
    "Roe, Jane",
    "Zoë",
    "Renée Müller",
    "李小龍",
    "+49 170 1234567",
    "+491701234567",
    "0170-1234567",
    "(555) 123-4567",
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "378282246310005",
    "DE89370400440532013000",
    "de89 3704 0044 0532 0130 00",
    "MT84MALT011000012345MTLCAST001S",
    "NO9386011117947",
    "203.0.113.77",
    "203.0.113.77:443",
    "2001:db8::8a2e:370:7334",
    "fe80::1",
    "221B Baker Street",
    "jane%40example.com",
    "jane+tag@example.com",
    "cus_4242424242424242",
    "cus_491701234567",
    "cus jane",
    "do_not_honor for Jane Roe",
    "078-05-1120",
)
"""No part of an event, a key or a header may show one of these texts."""

NAMES_WITHOUT_A_SPACE: Final = ("Jane", "jane", "jane-roe", "ROE_JANE", "JaneRoe", "jane.roe")
"""Names that an id may not show. A label may: nothing tells them from the name of a coupon."""
