"""The verification of Stripe's signatures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_pipeline.providers import Refusal, Verified
from payment_pipeline.providers.stripe.signature import ENTRIES_MAX, verify

# Computed apart from the code under test:
#   printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
SECRET = "whsec_test"
BODY = b'{"id":"evt_1"}'
SIGNED_AT = 1_700_000_000
V1 = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"
HEADER = f"t={SIGNED_AT},v1={V1}"


def check(
    body: bytes = BODY,
    header: str | None = HEADER,
    secrets: tuple[str, ...] = (SECRET,),
    now_s: float = SIGNED_AT,
) -> Verified | Refusal:
    return verify(body, header, secrets, now_s, tolerance_s=300)


def test_a_signature_of_openssl_verifies() -> None:
    assert check() == Verified(0)


def test_only_a_comparison_in_constant_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary comparison stops at the first wrong character, and its time tells which."""
    compared: list[tuple[bytes, bytes]] = []

    def refuse(expected: bytes, given_signature: bytes) -> bool:
        compared.append((expected, given_signature))
        return False

    monkeypatch.setattr("payment_pipeline.providers.stripe.signature.hmac.compare_digest", refuse)
    assert check() is Refusal.MISMATCH
    assert compared == [(V1.encode(), V1.encode())]


def test_the_matching_secret_is_named() -> None:
    assert check(secrets=("whsec_new", SECRET)) == Verified(1)


@pytest.mark.parametrize(
    "header",
    [
        f"t={SIGNED_AT},v1={'0' * 64},v1={V1}",
        f"t={SIGNED_AT},v1=short,v1={V1}",
        f"t={SIGNED_AT},v0={'0' * 64},v1={V1}",
        f"v1={V1},t={SIGNED_AT}",
        f"t={SIGNED_AT},v1={V1},v2=what-comes-next",
    ],
)
def test_any_v1_may_match_and_other_schemes_are_ignored(header: str) -> None:
    assert check(header=header) == Verified(0)


@pytest.mark.parametrize("header", [None, ""])
def test_an_absent_header_counts_as_missing(header: str | None) -> None:
    assert check(header=header) is Refusal.MISSING


@pytest.mark.parametrize(
    "header",
    [
        "nonsense",
        f"t={SIGNED_AT}",
        f"v1={V1}",
        f"v0={V1},t={SIGNED_AT}",
        f"t=,v1={V1}",
        f"t=-{SIGNED_AT},v1={V1}",
        f"t=0{SIGNED_AT},v1={V1}",
        f"t={SIGNED_AT}.0,v1={V1}",
        f"t=\u0661{SIGNED_AT},v1={V1}",
        f"t={'9' * 5000},v1={V1}",
        f"t={SIGNED_AT},t={SIGNED_AT},v1={V1}",
        f"t={SIGNED_AT},v1={V1[:-1]}é",
        f"t={SIGNED_AT},{','.join([f'v1={V1}'] * ENTRIES_MAX)}",
        f"t={SIGNED_AT},{','.join([f'v1={V1}'] * 10_000)}",
    ],
)
def test_a_header_that_stripe_never_sends_is_malformed(header: str) -> None:
    assert check(header=header) is Refusal.MALFORMED


def test_case_and_spaces_of_a_signature_count() -> None:
    assert check(header=f"t={SIGNED_AT},v1={V1.upper()}") is Refusal.MISMATCH
    assert check(header=f"t={SIGNED_AT},v1={V1} ") is Refusal.MISMATCH


@pytest.mark.parametrize(
    ("age_s", "answer"),
    [
        (299, Verified(0)),
        (300, Verified(0)),
        (301, Refusal.TOO_OLD),
        (-299, Verified(0)),
        (-300, Verified(0)),
        (-301, Refusal.TOO_NEW),
    ],
)
def test_the_signing_time_may_differ_by_the_tolerance_in_both_directions(
    age_s: int, answer: Verified | Refusal
) -> None:
    assert check(now_s=SIGNED_AT + age_s) == answer


def test_an_unsigned_request_learns_nothing_about_the_clock() -> None:
    assert check(header=f"t=1,v1={V1}") is Refusal.MISMATCH


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_an_empty_secret_verifies_nothing(secrets: tuple[str, ...]) -> None:
    with_empty_key = "0544cee61c7f21c4f8ddaa03818d769214fe1cee99d6a47c009139d400184359"
    header = f"t={SIGNED_AT},v1={with_empty_key}"
    assert check(header=header, secrets=secrets) is Refusal.MISMATCH


def test_a_retired_secret_verifies_nothing() -> None:
    assert check(secrets=("whsec_new",)) is Refusal.MISMATCH


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_changed_byte_of_the_body_verifies(at: int, change: int) -> None:
    mutated = bytearray(BODY)
    mutated[at] ^= change
    assert check(body=bytes(mutated)) is Refusal.MISMATCH


@given(st.integers(0, len(HEADER) - 1), st.characters(max_codepoint=255))
def test_no_changed_character_of_the_header_verifies(at: int, character: str) -> None:
    mutated = HEADER[:at] + character + HEADER[at + 1 :]
    assert (check(header=mutated) == Verified(0)) == (mutated == HEADER)


@given(st.binary(), st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_no_input_raises(body: bytes, header: str, now_s: float) -> None:
    assert isinstance(check(body, header, now_s=now_s), Refusal)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_text_verify_too(body: bytes) -> None:
    assert isinstance(check(body=body), Verified) == (body == BODY)
