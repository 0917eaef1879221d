"""How does Dagster run here: the code, the web server and the daemon, and are they truly ready?

`python -m local_stack.dagster PART` becomes that part, with dbt's environment and the secrets that
only the process may see. The code is loaded once, by a server that the other two ask.
"""

import json
import os
import socket
import sys
from pathlib import Path
from string import Template
from typing import Any, Final

import aiohttp
import psycopg

from local_stack import roles
from local_stack.files import CONFIGURATION, socket_path, var, write_private
from local_stack.http import TIMEOUT
from payment_pipeline.adapters.trino import dbt_environment
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, load

TEMPLATE: Final = CONFIGURATION / "dagster/dagster.yaml"
CODE: Final = "orchestration_dagster.definitions"
STORAGE_SECRETS: Final = ("dagster_dsn", "postgres_dagster_password")
"""The secrets of Dagster's own database."""
LAKE_SECRETS: Final = (
    *("postgres_dsn", "postgres_lake_password"),
    *("s3_access_key", "s3_secret_key", "catalog_credential"),
)
"""The secrets of a process that reads bronze and the lake."""

LOADED: Final = """
{ workspaceOrError { ... on Workspace { locationEntries {
  loadStatus locationOrLoadError { __typename } } } } }
"""
LAUNCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
"""A launch plans the run, which asks the code server for every asset."""
LAUNCH: Final = """
mutation ($job: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $job}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message } } }
"""
STATUS: Final = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
NEWEST: Final = """
query ($job: String!) {
  runsOrError(filter: {pipelineName: $job}, limit: 1) { ... on Runs { results { runId } } } }
"""
HEALTH: Final = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"


def home(settings: Settings) -> Path:
    """DAGSTER_HOME: the instance's configuration, its runs' logs and files."""
    return var(settings) / "dagster"


def code_socket(settings: Settings) -> Path:
    """Where the code server listens: no port, since who reaches it may run any code."""
    return socket_path(settings).with_name("dagster.sock")


def address(settings: Settings) -> str:
    """The UI."""
    return f"http://{settings.host}:{settings.dagster_port}"


def command(part: str) -> list[str]:
    """This module, which becomes the part."""
    return [sys.executable, "-m", "local_stack.dagster", part]


def prepare(settings: Settings) -> None:
    """Make the database if need be, and write the instance's and the workspace's configuration."""
    home(settings).mkdir(mode=0o700, exist_ok=True)
    write_config(settings)
    code_socket(settings).unlink(missing_ok=True)
    if settings.postgres_dsn and not settings.dagster_dsn:
        roles.ensure_database_elsewhere(settings, roles.DAGSTER)


def prepare_daemon(settings: Settings) -> None:
    """Forget what the last daemon said: its heartbeats would pass for the new one's."""
    with psycopg.connect(settings.dagster_storage, autocommit=True) as storage:
        storage.execute("DELETE FROM daemon_heartbeats")


def write_config(settings: Settings) -> None:
    """Fill the templates in; JSON's strings are YAML's too."""
    storage = settings.dagster_storage
    values = {"storage": json.dumps(storage), "home": json.dumps(str(home(settings)))[1:-1]}
    text = Template(TEMPLATE.read_text()).substitute(values)
    write_private(home(settings) / "dagster.yaml", text)
    server = {"socket": str(code_socket(settings)), "location_name": CODE}
    workspace = {"load_from": [{"grpc_server": server}]}
    (home(settings) / "workspace.yaml").write_text(json.dumps(workspace, indent=2) + "\n")


def _arguments(settings: Settings, part: str) -> list[str]:
    workspace = ["--workspace", str(home(settings) / "workspace.yaml")]
    listening = ["--host", settings.host, "--port", str(settings.dagster_port)]
    return {
        "code": [
            "dagster", "api", "grpc",
            "--socket", str(code_socket(settings)),
            "--module-name", CODE,
            "--location-name", CODE,
            "--use-python-environment-entry-point",
        ],
        "webserver": ["dagster_webserver", *listening, *workspace],
        "daemon": ["dagster._daemon", "run", *workspace],
    }[part]  # fmt: skip


async def code_ready(settings: Settings) -> bool:
    """Whether the code was loaded: its server listens only then."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(code_socket(settings))) == 0


async def webserver_ready(settings: Settings) -> bool:
    """Whether the UI knows the code's definitions."""
    found = (await _asked(settings, LOADED)).get("workspaceOrError", {})
    entries = found.get("locationEntries", [])
    return bool(entries) and all(
        entry["loadStatus"] == "LOADED"
        and entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        for entry in entries
    )


async def daemon_ready(settings: Settings) -> bool:
    """Whether every daemon that the instance wants has just said that it lives."""
    found = (await _asked(settings, HEALTH)).get("instance", {})
    statuses = found.get("daemonHealth", {}).get("allDaemonStatuses", [])
    return bool(statuses) and all(each["healthy"] for each in statuses if each["required"])


async def launch(settings: Settings, job: str) -> str:
    """Launch a job as the UI does; the run's id.

    Raises:
        UserError: Dagster refuses, or doesn't answer.
    """
    selector = {
        "repositoryLocationName": CODE,
        "repositoryName": "__repository__",
        "jobName": job,
    }
    answer = await _asked(settings, LAUNCH, {"job": selector}, LAUNCH_TIMEOUT)
    launched = answer.get("launchRun", {})
    if "run" not in launched:
        why = launched.get("message") or launched.get("__typename") or "no answer"
        raise UserError(f"Dagster doesn't launch {job} ({why}): see `make logs`.", exit_code=1)
    return str(launched["run"]["runId"])


async def run_status(settings: Settings, run_id: str) -> str:
    """A run's status as Dagster calls it: QUEUED, STARTED, SUCCESS, FAILURE and others."""
    found = (await _asked(settings, STATUS, {"id": run_id})).get("runOrError", {})
    return str(found.get("status", "UNKNOWN"))


async def newest_run(settings: Settings, job: str) -> str | None:
    """The id of a job's newest run, whoever launched it; None without one, or without an answer."""
    found = (await _asked(settings, NEWEST, {"job": job})).get("runsOrError", {})
    return next((str(run["runId"]) for run in found.get("results", ())), None)


async def _asked(
    settings: Settings,
    query: str,
    variables: dict[str, Any] | None = None,
    patience: aiohttp.ClientTimeout = TIMEOUT,
) -> dict[str, Any]:
    asked = {"query": query, "variables": variables or {}}
    try:
        async with (
            aiohttp.ClientSession(timeout=patience) as session,
            session.post(f"{address(settings)}/graphql", json=asked) as answer,
        ):
            data: dict[str, Any] = (await answer.json())["data"] if answer.ok else {}
            return data or {}
    except (aiohttp.ClientError, TimeoutError):
        return {}


def environment(settings: Settings) -> dict[str, str]:
    """What Dagster's processes see beside the settings; Trino's password is a secret."""
    return {"DAGSTER_HOME": str(home(settings)), **dbt_environment(settings)}


def main(part: str) -> None:
    """Become the part."""
    settings = load()
    os.environ.update(environment(settings))
    os.execv(sys.executable, [sys.executable, "-m", *_arguments(settings, part)])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
