"""Payloads of workflows are encrypted, and keys rotate without a payload that nobody can read."""

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from payment_pipeline.adapters import temporal, temporal_payloads
from payment_pipeline.adapters.temporal_payloads import EncryptedPayloads
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import MissingSecretError, Settings, fingerprint

OLD = "the old key that is long enough for a key"
NEW = "the new key that replaces the old key"
TOLD = Payload(metadata={"encoding": b"json/plain"}, data=b'{"payment": "pi_1"}')


async def sealed(*keys: str) -> Payload:
    (found,) = await EncryptedPayloads(lambda: keys).encode([TOLD])
    return found


async def test_a_payload_is_unreadable_and_comes_back_unchanged() -> None:
    found = await sealed(NEW)
    assert b"pi_1" not in found.SerializeToString()
    assert b"json/plain" not in found.SerializeToString()
    assert dict(found.metadata) == {
        "encoding": b"binary/encrypted",
        "encryption-key-id": fingerprint(NEW).encode(),
    }
    assert await EncryptedPayloads(lambda: [NEW]).decode([found]) == [TOLD]
    assert found != await sealed(NEW), "equal payloads are not known by their bytes"


async def test_each_key_reads_and_the_newest_writes() -> None:
    both = EncryptedPayloads(lambda: [NEW, OLD])
    assert await both.decode([await sealed(OLD), await sealed(NEW), TOLD]) == [TOLD, TOLD, TOLD]
    (written,) = await both.encode([TOLD])
    assert written.metadata["encryption-key-id"] == fingerprint(NEW).encode()


async def test_a_payload_of_an_unknown_key_is_a_clear_error() -> None:
    with pytest.raises(UserError) as refused:
        await EncryptedPayloads(lambda: [NEW]).decode([await sealed(OLD)])
    assert fingerprint(OLD) in str(refused.value)
    assert "PAYMENTS_TEMPORAL_PAYLOAD_KEYS" in str(refused.value)
    assert OLD not in str(refused.value)


async def test_a_changed_payload_is_refused() -> None:
    found = await sealed(NEW)
    other_key = Payload.FromString(found.SerializeToString())
    other_key.metadata["encryption-key-id"] = fingerprint(OLD).encode()
    cut = Payload(metadata=found.metadata, data=found.data[:20])
    flipped = Payload(metadata=found.metadata, data=found.data[:-1] + bytes([found.data[-1] ^ 1]))
    for changed in (other_key, cut, flipped):
        with pytest.raises(UserError, match="was changed after it was written"):
            await EncryptedPayloads(lambda: [NEW, OLD]).decode([changed])


def test_without_keys_nothing_is_encrypted(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    assert temporal_payloads.codec(settings) is None
    assert temporal._converter(settings) is DataConverter.default


def test_a_secure_stack_without_its_keys_starts_no_client(tmp_path: Path) -> None:
    (tmp_path / "secure").touch()
    with pytest.raises(MissingSecretError, match="PAYMENTS_TEMPORAL_PAYLOAD_KEYS"):
        temporal_payloads.codec(Settings(var=tmp_path))


@pytest.mark.parametrize("elsewhere", [{}, {"temporal_address": "temporal:7233"}])
async def test_a_variable_turns_encryption_on(elsewhere: dict[str, str], tmp_path: Path) -> None:
    given = {"temporal_payload_keys": f" {NEW} ,\n{OLD}", **elsewhere}
    settings = Settings.model_validate({"var": tmp_path, **given})
    found = temporal_payloads.codec(settings)
    assert found is not None
    assert await found.decode([await sealed(OLD), await sealed(NEW)]) == [TOLD, TOLD]
    (error,) = [await _told(settings, ValueError("pi_1 was declined"))]
    assert "pi_1" not in error


@pytest.mark.parametrize("nothing", [" , ", "\n,"])
def test_a_variable_without_a_key_is_refused(nothing: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"var": tmp_path, "temporal_payload_keys": nothing})
    with pytest.raises(MissingSecretError):
        temporal_payloads.codec(settings)


async def _told(settings: Settings, error: Exception) -> str:
    """The error as Temporal stores it."""
    from temporalio.api.failure.v1 import Failure

    failure = Failure()
    await temporal._converter(settings).encode_failure(error, failure)
    return str(failure)
