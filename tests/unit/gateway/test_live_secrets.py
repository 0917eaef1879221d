"""Secrets change without a gap, and a broken file never removes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog
from pydantic import SecretStr, ValidationError

from payment_pipeline.gateway import live_secrets
from payment_pipeline.gateway.live_secrets import LiveSecrets
from payment_pipeline.providers import providers
from payment_pipeline.settings import MissingSecretError, Settings
from support.fakes import provider_like

FOUND: Final = {"stripe": providers()["stripe"]}
STRIPE: Final = FOUND["stripe"]


ACME: Final = provider_like(STRIPE, name="acme", is_secret=lambda text: text != "acme_")
"""Stripe under another name, with secrets of another form."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "secrets" / "webhook_secrets_stripe"
    found.parent.mkdir()
    found.write_text("whsec_1\n")
    return found


@pytest.fixture
def settings(path: Path) -> Settings:
    return Settings(var=path.parents[1])


@pytest.fixture
def logged() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_a_new_secret_is_live_beside_the_old_one(path: Path, settings: Settings) -> None:
    live = LiveSecrets(STRIPE, settings)
    assert list(live.secrets) == ["whsec_1"]
    path.write_text("whsec_2,whsec_1\n")
    live.refresh()
    assert list(live.secrets) == ["whsec_2", "whsec_1"]
    assert len(live.verdicts) == 2
    path.write_text("whsec_2\n")
    live.refresh()
    assert list(live.secrets) == ["whsec_2"]


def test_one_a_line_is_as_good_as_commas(path: Path, settings: Settings) -> None:
    path.write_text("whsec_2\n\n whsec_1 \n")
    assert LiveSecrets(STRIPE, settings).secrets == ("whsec_2", "whsec_1")


def test_a_file_replaced_in_one_move_is_seen(path: Path, settings: Settings) -> None:
    live = LiveSecrets(STRIPE, settings)
    other = path.with_suffix(".new")
    other.write_text("whsec_9\n")
    other.replace(path)
    live.refresh()
    assert list(live.secrets) == ["whsec_9"]


@pytest.mark.parametrize("content", [b"", b" \n", b",,\n", b"whsec_\n", b"\xff\xfe\n"])
def test_a_file_that_breaks_changes_nothing_but_the_log(
    path: Path, settings: Settings, content: bytes, logged: list[structlog.typing.EventDict]
) -> None:
    live = LiveSecrets(STRIPE, settings)
    path.write_bytes(content)
    live.refresh()
    live.refresh()
    assert list(live.secrets) == ["whsec_1"]
    assert [line["event"] for line in logged] == ["secrets_unreadable"]
    path.unlink()
    live.refresh()
    assert list(live.secrets) == ["whsec_1"]
    path.write_text("whsec_2")
    live.refresh()
    assert list(live.secrets) == ["whsec_2"]


def test_no_log_line_has_a_secret(
    path: Path, settings: Settings, logged: list[structlog.typing.EventDict]
) -> None:
    live = LiveSecrets(STRIPE, settings)
    path.write_text("whsec_2")
    live.refresh()
    assert [line["event"] for line in logged] == ["secrets_rotated"]
    assert "whsec" not in str(logged)


def test_without_a_secret_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(MissingSecretError, match="PAYMENTS_WEBHOOK_SECRETS_STRIPE"):
        live_secrets.load(FOUND, Settings(var=tmp_path))


@pytest.mark.parametrize("empty", ["", " ", ",", "whsec_", "whsec_, ,\n"])
def test_an_empty_secret_is_none_wherever_it_stands(path: Path, empty: str) -> None:
    path.write_text(empty)
    given = Settings(var=path.parents[1], webhook_secrets={"stripe": SecretStr(empty)})
    for settings in (given, Settings(var=path.parents[1])):
        with pytest.raises(MissingSecretError):
            live_secrets.load(FOUND, settings)


def test_a_provider_without_a_secret_is_not_served(settings: Settings) -> None:
    assert set(live_secrets.load({**FOUND, "acme": ACME}, settings)) == {"stripe"}


def test_a_second_provider_takes_its_secrets_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_ACME", "new,old")
    assert LiveSecrets(ACME, Settings(var=tmp_path)).secrets == ("new", "old")


def test_a_second_provider_takes_its_secrets_from_a_line_of_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PAYMENTS_WEBHOOK_SECRETS_ACME=new,old\nPAYMENTS_WEBHOOK_SECRETS_OTHER=x\n")
    found = Settings(var=tmp_path, _env_file=env_file)
    assert LiveSecrets(ACME, found).secrets == ("new", "old")


def test_a_second_provider_takes_its_secrets_from_its_file(path: Path, settings: Settings) -> None:
    (path.parent / "webhook_secrets_acme").write_text("new\nold\n")
    loaded = live_secrets.load({**FOUND, "acme": ACME}, settings)
    assert {name: live.secrets for name, live in loaded.items()} == {
        "stripe": ("whsec_1",),
        "acme": ("new", "old"),
    }


def test_the_environment_wins_over_a_line_of_the_env_file_for_each_provider_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "PAYMENTS_WEBHOOK_SECRETS_ACME=line\nPAYMENTS_WEBHOOK_SECRETS_STRIPE=whsec_line\n"
    )
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_ACME", "environment")
    found = Settings(var=tmp_path, _env_file=env_file)
    assert found.signing_secrets(ACME) == ("environment",)
    assert found.signing_secrets(STRIPE) == ("whsec_line",)


@pytest.mark.parametrize("empty", ["", " ", ",", "acme_", "acme_, ,"])
def test_an_empty_secret_of_a_second_provider_refuses_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("PAYMENTS_WEBHOOK_SECRETS_ACME", empty)
    with pytest.raises(MissingSecretError, match="PAYMENTS_WEBHOOK_SECRETS_ACME"):
        live_secrets.load({"acme": ACME}, Settings(var=tmp_path))


@pytest.mark.parametrize("tolerance_s", [0, -1, 3601])
def test_the_time_of_signing_can_not_be_made_not_to_matter(tolerance_s: int) -> None:
    with pytest.raises(ValidationError):
        Settings(signature_tolerance_s=tolerance_s)
