"""A database without a connection is named in one sentence, without the password."""

from contextlib import nullcontext

import psycopg
import pytest
from psycopg.pq import DiagnosticField
from pydantic import SecretStr

from payment_pipeline.adapters import postgres
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PASSWORD = "hunter2"  # must not be shown
NOBODY = f"postgresql://payments:{PASSWORD}@127.0.0.1:1/payments"
BROKEN = f"postgresql://payments:{PASSWORD}@127.0.0.1:port/payments"


@pytest.mark.parametrize("dsn", [NOBODY, BROKEN, f"mysql:{PASSWORD}", PASSWORD])
async def test_the_pool_names_the_setting_to_correct(dsn: str) -> None:
    with pytest.raises(UserError) as refusal:
        await postgres.pool(Settings(postgres_dsn=SecretStr(dsn)))
    assert "PAYMENTS_POSTGRES_DSN" in str(refusal.value)
    assert PASSWORD not in str(refusal.value)


async def test_the_pool_names_the_address() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1, database payments, user payments"):
        await postgres.pool(Settings(postgres_dsn=SecretStr(NOBODY)))


@pytest.mark.parametrize("dsn", [NOBODY, BROKEN, f"mysql:{PASSWORD}", PASSWORD])
def test_migrate_names_the_setting_to_correct(dsn: str) -> None:
    with pytest.raises(UserError) as refusal:
        migrate(Settings(postgres_dsn=SecretStr(dsn)))
    assert "PAYMENTS_POSTGRES_DSN" in str(refusal.value)
    assert PASSWORD not in str(refusal.value)


class Refusing(nullcontext[None]):
    """A connection of a role that lacks a right."""

    def execute(self, *_: object) -> None:
        raise psycopg.errors.InsufficientPrivilege(
            f"permission denied for schema public\nLINE 1: {PASSWORD}",
            info={DiagnosticField.MESSAGE_PRIMARY: b"permission denied for schema public"},
        )


def test_migrate_without_a_right_quotes_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: Refusing())
    with pytest.raises(UserError) as refusal:
        migrate(Settings(postgres_dsn=SecretStr(NOBODY)))
    assert refusal.value.exit_code == 1
    assert "permission denied for schema public. Check that the user payments" in str(refusal.value)
    assert PASSWORD not in str(refusal.value)
