"""A short secret of the environment stops every program, with one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payment_pipeline import settings as settings_module
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import variable

SHORT = {
    "postgres_password": "fifteen-letters",
    "backup_key": "thirty-one-letters-are-one-less",
    "catalog_credential": "id:secret",
    "webhook_secrets_stripe": "whsec_long-enough-for-one,whsec_short",
}


@pytest.mark.parametrize("name", SHORT)
def test_a_short_secret_is_refused_and_not_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), SHORT[name])
    with pytest.raises(UserError, match=f"{variable(name)} has fewer than") as refused:
        settings_module.load.__wrapped__()
    assert SHORT[name] not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("postgres_password", "sixteen-letters!"),
        ("webhook_secrets_stripe", "whsec_long-enough, whsec_long-enough-too"),
        ("s3_access_key", "id"),
        ("postgres_dsn", "postgresql://me@there/db"),
    ],
)
def test_a_long_secret_and_a_name_are_accepted(
    name: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), secret)
    assert settings_module.load.__wrapped__().given_secrets[name] == secret


@pytest.mark.parametrize("program", ["payment_operations.cli", "payment_pipeline.normalizer"])
def test_a_program_ends_with_one_sentence(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, *(["doctor"] if "cli" in program else [])],
        env={**os.environ, "PAYMENTS_VAR": str(tmp_path), "PAYMENTS_BACKUP_KEY": "short"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "PAYMENTS_BACKUP_KEY has fewer than 32 characters" in done.stderr
    assert len(done.stderr.splitlines()) == 1
