"""The promises that every provider keeps for any body and any signature.

Each function raises `AssertionError`, or the exception of the provider, if a promise is broken.
"""

import re
from datetime import UTC, datetime
from time import process_time
from typing import Final

from payment_pipeline.domain.events import PAYMENT_EVENT, EventBase
from payment_pipeline.domain.failures import BadRecord, FailureClass, Rejected, Unmodelled
from payment_pipeline.normalizer.step import step
from payment_pipeline.providers import (
    ControlTotal,
    Envelope,
    Refusal,
    Unparseable,
    Unsupported,
    Verified,
    providers,
)
from support.closed_lists import closed_statuses
from support.pairs import CONTEXT, Pair, raw_event

ANSWER_CPU_S_MAX: Final = 2.0
"""Limit of CPU time for one body of some kilobytes, which usually takes milliseconds. CPU time,
because during an hour of fuzzing the process sometimes waits for the processor."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
"""Text that may become a Kafka header: no character can end a line or a log entry."""


def any_body_has_an_answer(provider: str, body: bytes) -> None:
    """Reading and normalizing end in a defined outcome, in time, with text that can be stored."""
    began_s = process_time()
    _read(provider, body)
    _normalize(provider, body)
    total = providers()[provider].control_total(body)
    assert total is None or isinstance(total, ControlTotal)
    spent_s = process_time() - began_s
    assert spent_s < ANSWER_CPU_S_MAX, f"{spent_s:.1f} CPU-seconds for {len(body)} bytes"


def only_the_genuine_verifies(pair: Pair, signature: str) -> None:
    """Only the genuine header verifies a body, and only its own body. No header raises."""
    verify = providers()[pair.provider].verify
    now_s = pair.signed_at_s + 1
    answer = verify(pair.body, signature, (pair.secret,), now_s, 300)
    assert isinstance(answer, Refusal) or set(pair.signature.split(",")) <= set(
        signature.split(",")
    ), signature
    for secrets in ((), ("",), (pair.secret + "x",)):
        assert isinstance(verify(pair.body, signature, secrets, now_s, 300), Refusal), signature
    assert not isinstance(
        verify(pair.body + b" ", pair.signature, (pair.secret,), now_s, 300), Verified
    )


def _read(provider: str, body: bytes) -> None:
    answer = providers()[provider].read(body)
    if isinstance(answer, Envelope):
        for text in (answer.event_id, answer.event_type, answer.account):
            assert text is None or _HEADER_SAFE.fullmatch(text), repr(text)
        assert answer.resource in providers()[provider].resources
        answer.key.encode()
        assert answer.identity_sha256 is None or _SHA256.fullmatch(answer.identity_sha256)
        if answer.occurred_at is not None:
            answer.occurred_at.isoformat()
    else:
        assert isinstance(answer, Unparseable | Unsupported)


def _normalize(provider: str, body: bytes) -> None:
    raw = raw_event(body, provider)
    outcome, _ = step(raw, (), providers()[provider], CONTEXT, datetime.now(UTC))
    if isinstance(outcome, BadRecord):
        assert outcome.failure is not FailureClass.UNPROCESSABLE, "the provider raised"
        assert outcome.errors
        assert all("\0" not in error.path + error.message for error in outcome.errors)
    elif isinstance(outcome, EventBase):
        written = outcome.model_dump_json(exclude_none=True)
        assert PAYMENT_EVENT.validate_json(written) == outcome, (
            "the event differs after it is written and read back"
        )
        assert "\0" not in written
        assert "\\u0000" not in written
        assert (outcome.currency is None) == (outcome.currency_exponent is None)
        assert outcome.amount_minor is None or -(2**63) <= outcome.amount_minor < 2**63
        assert outcome.status in closed_statuses(type(outcome))
    else:
        assert isinstance(outcome, Unmodelled | Rejected)
