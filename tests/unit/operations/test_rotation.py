"""Rotation of secrets: what is accepted, what is refused, which old secrets stay."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack import certificates, files, generated_secrets
from local_stack.components import chosen
from payment_operations import live_rotation, rotation
from payment_pipeline.domain.failures import UserError
from payment_pipeline.providers import providers
from payment_pipeline.secret_length import SEVERAL
from payment_pipeline.settings import Settings, fingerprint

SettingsOf = Callable[..., Settings]
STRIPE = providers()["stripe"]
GIVEN = "whsec_" + "a1" * 16


@pytest.fixture
def settings(isolated: SettingsOf) -> Settings:
    made = isolated()
    files.make_folders(made)
    generated_secrets.generate(made)
    return made


def path(settings: Settings) -> Path:
    return settings.secrets_dir / "webhook_secrets_stripe"


def test_the_new_secret_comes_first_and_the_old_one_stays(settings: Settings) -> None:
    (old,) = settings.signing_secrets(STRIPE)
    assert rotation.rotate_signing(settings, "stripe", f" {GIVEN}\n") == fingerprint(GIVEN)
    assert settings.signing_secrets(STRIPE) == (GIVEN, old)
    assert path(settings).stat().st_mode & 0o777 == 0o600


def test_without_a_given_secret_a_random_one_is_made(settings: Settings) -> None:
    made = {rotation.rotate_signing(settings, "stripe") for _ in range(2)}
    assert len(made | set(rotation.live(settings, "stripe"))) == 3
    assert all(each.startswith("whsec_") for each in settings.signing_secrets(STRIPE))


@pytest.mark.parametrize(
    "given", ["", " \n", "whsec_", "whsec_short", "a" * 19, f"{GIVEN},x", "é" * 40]
)
def test_a_short_secret_or_one_with_separators_is_refused(settings: Settings, given: str) -> None:
    before = path(settings).read_text()
    with pytest.raises(UserError, match="no signing secret") as refused:
        rotation.rotate_signing(settings, "stripe", given)
    assert path(settings).read_text() == before
    assert not given.strip() or given not in str(refused.value), "the given value may be a secret"


def test_the_same_secret_again_changes_nothing(settings: Settings) -> None:
    rotation.rotate_signing(settings, "stripe", GIVEN)
    before = path(settings).read_text()
    with pytest.raises(UserError, match="already in the file"):
        rotation.rotate_signing(settings, "stripe", GIVEN)
    assert path(settings).read_text() == before


def test_there_are_never_too_many_secrets(settings: Settings) -> None:
    for _ in range(rotation.LIVE_MAX - 1):
        rotation.rotate_signing(settings, "stripe")
    with pytest.raises(UserError, match="Retire the old ones first"):
        rotation.rotate_signing(settings, "stripe")


def test_the_only_secret_is_not_retired(settings: Settings) -> None:
    with pytest.raises(UserError, match="Add a new one first"):
        rotation.retire_signing(settings, "stripe", 0, force=True)


def test_without_a_gateway_only_force_retires(settings: Settings) -> None:
    rotation.rotate_signing(settings, "stripe", GIVEN)
    with pytest.raises(UserError, match="--force"):
        rotation.retire_signing(settings, "stripe", 0, force=False)
    rotation.retire_signing(settings, "stripe", 0, force=True)
    assert settings.signing_secrets(STRIPE) == (GIVEN,)
    assert rotation.wait_until_live(settings, "stripe") is None


def test_a_secret_of_the_environment_is_not_rotated(isolated: SettingsOf) -> None:
    given = isolated(webhook_secrets={"stripe": GIVEN})
    with pytest.raises(UserError, match="PAYMENTS_WEBHOOK_SECRETS_STRIPE is set"):
        rotation.rotate_signing(given, "stripe")
    given = isolated(postgres_worker_password="given")
    with pytest.raises(UserError, match="PAYMENTS_POSTGRES_WORKER_PASSWORD is set"):
        rotation.rotate_password(given, "postgres_worker_password")


@pytest.mark.parametrize("name", ["nobody", "../x", "pseudonym_key", "postgres_admin_password"])
def test_no_other_secret_is_rotated(settings: Settings, name: str) -> None:
    with pytest.raises(
        UserError, match=f"no secret {name} that can be rotated. Use one of: .*stripe, "
    ):
        rotation.rotate_password(settings, name)
    with pytest.raises(UserError, match="There is no provider"):
        rotation.rotate_signing(settings, name)


def test_a_password_that_postgresql_does_not_take_stays_as_it_was(settings: Settings) -> None:
    before = settings.secret("postgres_worker_password")
    with pytest.raises(UserError, match="No PostgreSQL at"):
        rotation.rotate_password(settings, "postgres_worker_password")
    assert settings.secret("postgres_worker_password") == before


@pytest.mark.parametrize("name", rotation.HELD)
def test_a_secret_that_is_read_at_a_start_changes(settings: Settings, name: str) -> None:
    held = rotation.HELD[name].secrets
    before = {each: settings.secret(each) for each in held}
    assert rotation.rotate_held(settings, name) == [], "nothing runs here"
    assert all(settings.secret(each) != before[each] for each in held)


def test_no_component_that_is_restarted_serves_webhooks() -> None:
    serving = {each.name for each in chosen()}
    for held in rotation.HELD.values():
        assert not serving.intersection(held.readers)


@pytest.mark.parametrize("name", SEVERAL)
def test_a_new_secret_comes_in_front_of_several(settings: Settings, name: str) -> None:
    old = settings.secrets_of(name)
    new = live_rotation.add_in_front(settings, name)
    newest, *older = settings.secrets_of(name)
    assert fingerprint(newest) == new
    assert tuple(older) == old
    assert (settings.secrets_dir / name).stat().st_mode & 0o777 == 0o600
    assert live_rotation.retire_older(settings, name, force=True) == [fingerprint(*old)]
    assert settings.secrets_of(name) == (newest,)
    with pytest.raises(UserError, match="Add a new one first"):
        live_rotation.retire_older(settings, name, force=True)


def test_the_keys_of_payloads_stay_while_temporal_can_not_be_asked(settings: Settings) -> None:
    live_rotation.add_in_front(settings, "temporal_payload_keys")
    before = settings.secrets_of("temporal_payload_keys")
    with pytest.raises(UserError, match="Temporal does not answer"):
        live_rotation.retire_older(settings, "temporal_payload_keys", force=False)
    assert settings.secrets_of("temporal_payload_keys") == before


def test_an_open_kafka_has_no_passwords(settings: Settings) -> None:
    with pytest.raises(UserError, match="--secure"):
        live_rotation.rotate_kafka_password(settings, "kafka_gateway_password")


def test_a_kafka_that_does_not_answer_keeps_its_password(settings: Settings) -> None:
    (settings.var / "secure").touch()
    certificates.ensure(settings, "kafka")
    before = settings.secret("kafka_gateway_password")
    with pytest.raises(UserError, match="stays as it was"):
        live_rotation.rotate_kafka_password(settings, "kafka_gateway_password")
    assert settings.secret("kafka_gateway_password") == before
