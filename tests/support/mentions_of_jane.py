"""Texts that name the customer `cus_jane`, and texts with other ids that contain `cus_jane`."""

from typing import Final

JANE: Final = "cus_jane"

HERS: Final = (
    '{"customer": "cus_jane"}',
    '{"customer":"cus_jane","amount":1}',
    '{"customer": {"id": "cus_jane"',  # cut off: no JSON
    "customer=cus_jane",
    "cus_jane",
    "(stripe,cus_jane,12)",  # a row as PostgreSQL writes it
    "{cus_john,cus_jane}",
    '{"url": "/v1/customers/cus_jane/sources"}',
    '{"url": "https://example.com/?of%3Dcus_jane%26more"}',
    '{"description": "Again with cus_jane."}',
    '{"description": "…cus_jane: twice"}',
    '{"description": "About:\\ncus_jane\\n"}',
    '{"description": "\\u00e9cus_jane\\u00e9"}',
    "écus_jane é",
)
OTHERS: Final = (
    "",
    "{}",
    '{"customer": "cus_john"}',
    '{"customer": "cus_jane2"}',
    '{"customer": "cus_janet"}',
    '{"customer": "cus_jane_2"}',
    '{"customer": "cus_jane-2"}',
    '{"customer": "cus_jane.doe"}',
    '{"customer": "cus_jane:2"}',
    '{"customer": "xcus_jane"}',
    '{"customer": "x_cus_jane"}',
    '{"customer": "x-cus_jane"}',
    '{"customer": "x.cus_jane"}',
    '{"customer": "acct:cus_jane"}',
    '{"receipt_email": "cus_jane@example.com"}',
    '{"receipt_email": "cus_jane+2@example.com"}',
)
