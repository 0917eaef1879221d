"""The Dagster instance: its configuration, its environment, and requests to its web server.

The code server loads the code once. The web server and the daemon ask it.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final, NoReturn

import aiohttp

from local_stack import roles
from local_stack.files import CONFIGURATION, socket_path, var, write_private
from local_stack.http import TIMEOUT
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

TEMPLATE: Final = CONFIGURATION / "dagster/dagster.yaml"
CODE: Final = "orchestration_dagster.definitions"
STORAGE_SECRETS: Final = ("dagster_dsn", "postgres_dagster_password")
"""The secrets of the instance's database, which each of Dagster's processes needs."""
LAKE_SECRETS: Final = (
    *("postgres_dsn", "postgres_lake_password"),
    *("s3_access_key", "s3_secret_key", "catalog_credential"),
)
"""The secrets of a process that reads bronze and the lake."""

LAUNCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
"""A launch plans the run, for which the web server asks the code server about every asset."""
LAUNCH: Final = """
mutation ($job: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $job}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } } }
"""
STATUS: Final = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def home(settings: Settings) -> Path:
    """DAGSTER_HOME: the folder of the instance's configuration and of its runs' logs and files."""
    return var(settings) / "dagster"


def code_socket(settings: Settings) -> Path:
    """The code server's Unix socket. It has no port, because its callers can run any code."""
    return socket_path(settings).with_name("dagster.sock")


def address(settings: Settings) -> str:
    """The address of the web server."""
    return f"http://{settings.host}:{settings.dagster_port}"


def prepare(settings: Settings) -> None:
    """Write the configuration of the instance and of the workspace, and make a missing database."""
    home(settings).mkdir(mode=0o700, exist_ok=True)
    write_config(settings)
    code_socket(settings).unlink(missing_ok=True)
    if settings.postgres_dsn and not settings.dagster_dsn:
        roles.ensure_database_elsewhere(settings, roles.DAGSTER)


def write_config(settings: Settings) -> None:
    """Fill in the templates, and put the user's sections in place of ours.

    A JSON string is a YAML string too.

    Raises:
        UserError: the file of the sections can't be read, or is no YAML map.
    """
    storage = settings.dagster_storage
    values = {"storage": json.dumps(storage), "home": json.dumps(str(home(settings)))[1:-1]}
    text = Template(TEMPLATE.read_text()).substitute(values)
    if settings.dagster_instance:
        text = json.dumps(_with_sections(text, settings.dagster_instance), indent=2) + "\n"
    write_private(home(settings) / "dagster.yaml", text)
    server = {"socket": str(code_socket(settings)), "location_name": CODE}
    workspace = {"load_from": [{"grpc_server": server}]}
    workspace_path(settings).write_text(json.dumps(workspace, indent=2) + "\n")


def _with_sections(ours: str, path: Path) -> dict[str, Any]:
    # The parser is in the extras `lakehouse` and `cluster`, and this module is loaded without them.
    import yaml

    try:
        given = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as wrong:
        raise UserError(f"PAYMENTS_DAGSTER_INSTANCE can't be read: {wrong}") from wrong
    if not isinstance(given, dict):
        raise UserError(f"PAYMENTS_DAGSTER_INSTANCE: {path} is no map of dagster.yaml's sections.")
    return {**yaml.safe_load(ours), **given}


def workspace_path(settings: Settings) -> Path:
    """The file that says where the code server is."""
    return home(settings) / "workspace.yaml"


async def launch(settings: Settings, job: str) -> str:
    """Launch a job as the UI does, and return the run's id.

    Raises:
        UserError: Dagster refuses, or doesn't answer.
    """
    selector = {
        "repositoryLocationName": CODE,
        "repositoryName": "__repository__",
        "jobName": job,
    }
    answer = await ask(settings, LAUNCH, {"job": selector}, LAUNCH_TIMEOUT)
    launched = answer.get("launchRun", {})
    if "run" not in launched:
        why = launched.get("message") or launched.get("__typename") or "no answer"
        raise UserError(
            f"Dagster doesn't launch {job} ({why}): see `make pipeline-logs`.", exit_code=1
        )
    return str(launched["run"]["runId"])


async def run_status(settings: Settings, run_id: str) -> str:
    """A run's status in Dagster's terms: QUEUED, STARTED, SUCCESS, FAILURE and others."""
    found = (await ask(settings, STATUS, {"id": run_id})).get("runOrError", {})
    return str(found.get("status", "UNKNOWN"))


async def ask(
    settings: Settings,
    query: str,
    variables: dict[str, Any] | None = None,
    client_timeout: aiohttp.ClientTimeout = TIMEOUT,
) -> dict[str, Any]:
    """The data that the web server answers a GraphQL query with. Empty if there is no answer."""
    asked = {"query": query, "variables": variables or {}}
    try:
        async with (
            aiohttp.ClientSession(timeout=client_timeout, auth=_login(settings)) as session,
            session.post(f"{address(settings)}/graphql", json=asked) as answer,
        ):
            data: dict[str, Any] = (await answer.json())["data"] if answer.ok else {}
            return data or {}
    except (aiohttp.ClientError, TimeoutError):
        return {}


def _login(settings: Settings) -> aiohttp.BasicAuth | None:
    """The login of the web server of a secure stack."""
    login = settings.dagster_login
    return aiohttp.BasicAuth(*login) if login else None


def environment(settings: Settings) -> dict[str, str]:
    """The variables that each of Dagster's processes reads."""
    return {"DAGSTER_HOME": str(home(settings))}


def become(
    settings: Settings, arguments: Sequence[str], more: Mapping[str, str] | None = None
) -> NoReturn:
    """Replace this process with a module of Dagster's.

    Args:
        settings: of the stack.
        arguments: the module and its arguments.
        more: variables that this process alone reads.
    """
    os.environ.update({**environment(settings), **(more or {})})
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606
