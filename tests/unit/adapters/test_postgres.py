"""Is a database that can't be had told in one sentence, without the password?"""

import pytest
from pydantic import SecretStr

from payment_pipeline.adapters import postgres
from payment_pipeline.bronze.migrate import migrate
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PASSWORD = "hunter2"  # what must not be shown
NOBODY = f"postgresql://payments:{PASSWORD}@127.0.0.1:1/payments"
BROKEN = f"postgresql://payments:{PASSWORD}@127.0.0.1:port/payments"


@pytest.mark.parametrize("dsn", [NOBODY, BROKEN, f"mysql:{PASSWORD}", PASSWORD])
async def test_pool_says_where_it_knocked(dsn: str) -> None:
    with pytest.raises(UserError) as refusal:
        await postgres.pool(Settings(postgres_dsn=SecretStr(dsn)))
    assert "PAYMENTS_POSTGRES_DSN" in str(refusal.value)
    assert PASSWORD not in str(refusal.value)


async def test_pool_names_the_address() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1, database payments, user payments"):
        await postgres.pool(Settings(postgres_dsn=SecretStr(NOBODY)))


@pytest.mark.parametrize("dsn", [NOBODY, BROKEN, f"mysql:{PASSWORD}", PASSWORD])
def test_migrate_says_where_it_knocked(dsn: str) -> None:
    with pytest.raises(UserError) as refusal:
        migrate(Settings(postgres_dsn=SecretStr(dsn)))
    assert "PAYMENTS_POSTGRES_DSN" in str(refusal.value)
    assert PASSWORD not in str(refusal.value)
