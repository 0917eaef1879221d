"""Tests the generated secrets, their permissions, and the length of socket paths."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from local_stack import files, generated_secrets, preflight
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]


def test_secrets_are_made_once_and_only_their_owner_can_read_them(isolated: SettingsOf) -> None:
    settings = isolated()
    files.make_folders(settings)
    generated_secrets.generate(settings)
    made = {name: settings.secret(name) for name in generated_secrets.names()}
    files.make_folders(settings)
    generated_secrets.generate(settings)
    assert {name: settings.secret(name) for name in generated_secrets.names()} == made
    assert len(set(made.values())) == len(made)
    assert made["webhook_secrets_stripe"].startswith("whsec_")
    assert settings.secrets_dir.stat().st_mode & 0o777 == 0o700
    for name in made:
        assert (settings.secrets_dir / name).stat().st_mode & 0o777 == 0o600


def test_a_given_secret_is_not_generated(isolated: SettingsOf) -> None:
    settings = isolated(postgres_password=SecretStr("given"))
    files.make_folders(settings)
    generated_secrets.generate(settings)
    assert not (settings.secrets_dir / "postgres_password").exists()
    assert settings.secret("postgres_password") == "given"


@pytest.mark.parametrize("name", ["var", "v" * 200, "ü" * 60])
def test_the_socket_fits_and_is_private(isolated: SettingsOf, tmp_path: Path, name: str) -> None:
    settings = isolated(var=tmp_path / name)
    files.make_folders(settings)
    socket = files.socket_path(settings)
    assert len(str(socket).encode()) <= files.SOCKET_PATH_BYTES_MAX
    assert socket.parent.stat().st_uid == Path(tmp_path).stat().st_uid


def test_two_stacks_with_long_paths_have_two_sockets(isolated: SettingsOf, tmp_path: Path) -> None:
    one, other = (isolated(var=tmp_path / (name * 200)) for name in "ab")
    assert files.socket_path(one) != files.socket_path(other)


def test_no_other_user_can_enter_the_folder_of_a_stack(
    isolated: SettingsOf, tmp_path: Path
) -> None:
    settings = isolated(var=tmp_path / "new" / "var")
    files.make_folders(settings)
    assert mode(settings.var) == mode(settings.var / "log") == mode(settings.var / "run") == 0o700
    settings.var.chmod(0o755)  # as older versions left it
    files.make_folders(settings)
    assert mode(settings.var) == 0o700


def test_a_folder_that_others_may_need_is_not_closed(isolated: SettingsOf, tmp_path: Path) -> None:
    settings = isolated(var=tmp_path / "shared")
    settings.var.mkdir()
    (settings.var / "something else").touch()
    settings.var.chmod(0o755)
    files.make_folders(settings)
    assert mode(settings.var) == 0o755
    [check] = [each for each in preflight.checks(settings) if each.name == "Folder"]
    assert not check.ok
    assert f"chmod 700 {settings.var}" in check.remedy


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_lock_makes_no_folder_that_others_can_enter(tmp_path: Path) -> None:
    """`up` refuses a folder that another user can enter, whoever made it first."""
    folder = tmp_path / "var"
    with files.exclusive(folder / "drills.lock"):
        assert folder.stat().st_mode & 0o777 == 0o700
