"""Settings of isolated stacks for drills and tests: a separate folder and free ports.

The settings ignore the environment and `.env`. So an isolated stack cannot reach the user's data or
stores that run elsewhere.
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
from payment_pipeline.settings import SECURE, Settings

# Below the ranges from which Linux and macOS take outgoing ports. Otherwise an outgoing connection
# could take the port of a killed process before the process restarts.
PORTS = range(20_000, 32_000)

secure = False
"""Whether new stacks are secure. The option `--secure` of pytest sets it."""


@contextmanager
def temporary(models: Path | None = None, **overrides: object) -> Iterator[Settings]:
    """Yield settings of an isolated stack in a temporary folder. At the end, stop and remove it.

    No component is started.

    Args:
        models: folder of trained models, which take long to train; copied if it exists.
        overrides: values for settings that must not have their default.
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
    """Return settings of an isolated stack in the folder `var`, always with the same ports."""
    if secure:
        (var / SECURE).touch()
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
        """Use only the values that the caller gives."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def free_ports(count: int) -> list[int]:
    """Return different ports on which no process listens.

    Raises:
        RuntimeError: there are not enough free ports.
    """
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"There are no {count} free ports in {PORTS}.")


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
