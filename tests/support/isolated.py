"""Where does a stack run that shares nothing with any other: what folder, which ports?

For drills and tests: every setting has its default, whatever the environment or `.env` says, so
that such a stack can reach neither the user's data nor stores that run elsewhere.
"""

import json
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from local_stack import files, stack
from payment_pipeline.settings import Settings

# Below the ranges that Linux and macOS take outgoing ports from: the port of a process that was
# killed must not become somebody's outgoing one before it is back.
PORTS = range(20_000, 32_000)


@contextmanager
def temporary(models: Path | None = None, **overrides: object) -> Iterator[Settings]:
    """Settings of an isolated stack in a temporary folder; at the end it is stopped and removed.

    Nothing is started yet.

    Args:
        models: trained ones, which take long to make; taken along if they are there.
        overrides: settings that shall not have their default.
    """
    var = Path(tempfile.mkdtemp(prefix="payments-isolated-"))
    found = settings(var, **overrides)
    if models is not None and models.is_dir():
        shutil.copytree(models, var / models.name)
    try:
        yield found
    finally:
        stack.down(found)
        shutil.rmtree(var)


def settings(var: Path, **overrides: object) -> Settings:
    """Settings of an isolated stack in the folder `var`; asked again, the same ports."""
    return _Isolated.model_validate({**_ports(var), "var": var, **overrides})


class _Isolated(Settings):
    """Settings that read neither the environment nor `.env`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The caller's values are the only source."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different.

    Raises:
        RuntimeError: there are not so many.
    """
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports in {PORTS}")


def _ports(var: Path) -> dict[str, int]:
    path = var / "ports.json"
    with files.exclusive(var / "ports.lock"):
        if not path.exists():
            names = [name for name in Settings.model_fields if name.endswith("_port")]
            path.write_text(json.dumps(dict(zip(names, free_ports(len(names)), strict=True))))
    found: dict[str, int] = json.loads(path.read_text())
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
