"""A rotated secret is in use without a restart, and a broken file changes nothing."""

from pathlib import Path

import pytest

from payment_pipeline.rotating_secrets import RotatingSecrets
from payment_pipeline.settings import MissingSecretError, Settings

NAME = "inference_token"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets" / NAME
    path.parent.mkdir()
    path.write_text("the old token\n")
    return path


def test_the_next_use_after_a_change_has_the_new_secrets(file: Path, tmp_path: Path) -> None:
    secrets = RotatingSecrets(Settings(var=tmp_path), NAME)
    assert secrets() == ("the old token",)
    file.write_text("the new token\nthe old token\n")
    assert secrets() == ("the new token", "the old token")
    file.write_text("the new token\n")
    assert secrets() == ("the new token",)


def test_a_file_that_breaks_changes_nothing(file: Path, tmp_path: Path) -> None:
    secrets = RotatingSecrets(Settings(var=tmp_path), NAME)
    file.write_text(" ,\n")
    assert secrets() == ("the old token",)
    file.write_bytes(b"\xff")
    assert secrets() == ("the old token",)
    file.unlink()
    assert secrets() == ("the old token",)


def test_without_a_secret_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(MissingSecretError):
        RotatingSecrets(Settings(var=tmp_path), NAME)


def test_the_environment_takes_precedence(file: Path, tmp_path: Path) -> None:
    given = Settings.model_validate({"var": tmp_path, NAME: "a given token"})
    secrets = RotatingSecrets(given, NAME)
    file.write_text("the new token\n")
    assert secrets() == ("a given token",)
