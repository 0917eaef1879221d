"""Runs of dbt without Dagster, in the dbt project, on the Trino of the settings."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from local_stack import files
from payment_pipeline.adapters.trino import authorities_environment, dbt_environment
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

DBT: Final = str(Path(sys.executable).with_name("dbt"))
ATTEMPTS: Final = 3
"""Dagster may build the same tables at the same time; then one of two commits fails."""
OUTPUT_CHARACTERS_MAX: Final = 600


def rebuild(settings: Settings) -> None:
    """Build every seed and model from the lake; a reader sees each table before or after it.

    Raises:
        UserError: dbt failed in each attempt; the message ends with dbt's output.
    """
    for attempt in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            paths = {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
            done = subprocess.run(  # noqa: S603
                [
                    DBT, "--quiet", "--no-use-colors", "build", "--full-refresh",
                    "--resource-type", "model", "--resource-type", "seed",
                ],
                cwd=settings.dbt_project,
                env=_environment(settings) | paths,
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
        if done.returncode == 0:
            return
        if attempt == ATTEMPTS - 1:
            output = (done.stdout + done.stderr).strip()[-OUTPUT_CHARACTERS_MAX:]
            raise UserError(
                "dbt can't build the marts. Fix the cause, then call the same command again. The "
                "end of dbt's output:",
                1,
                output=output,
            )


def become_dbt(settings: Settings, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by dbt. By default it writes to `<var>/dbt/command`.

    Raises:
        UserError: dbt is not installed.
    """
    if not Path(DBT).exists():
        raise UserError(
            f"There is no dbt at {DBT}. Install the package with its extra `lakehouse`."
        )
    os.chdir(settings.dbt_project)
    folder = str(files.var(settings) / "dbt" / "command")
    paths = {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
    environment = {**paths, **_environment(settings)}
    os.execve(DBT, [DBT, *arguments], environment)  # noqa: S606 - no shell is the point


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "DBT_PROFILES_DIR": str(settings.dbt_project.absolute()),
        **dbt_environment(settings),
        **authorities_environment(settings),
    }
