"""A secret is known if it is one of the accepted secrets, whole."""

import pytest

from payment_pipeline import known_secrets
from payment_pipeline.known_secrets import KnownSecrets

KNOWN = KnownSecrets(["the first secret", "the second secret"])


@pytest.mark.parametrize("shown", ["the first secret", "the second secret"])
def test_an_accepted_secret_is_known(shown: str) -> None:
    assert shown in KNOWN


@pytest.mark.parametrize("shown", ["", "the first", "the first secret ", "THE FIRST SECRET", "é"])
def test_every_other_text_is_unknown(shown: str) -> None:
    assert shown not in KNOWN


def test_nothing_is_known_without_a_secret() -> None:
    assert "" not in KnownSecrets([])


def test_only_a_comparison_in_constant_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def told(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(known_secrets, "compare_digest", told)
    assert "x" in KNOWN
    assert [len(one) == len(other) == 32 for one, other in compared] == [True, True]
