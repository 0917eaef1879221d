"""Dagster's web server, with its UI.

`python -m local_stack.components.dagster_webserver` becomes the server.
"""

from typing import Final

from local_stack import dagster
from local_stack.component import LAKEHOUSE, Component
from local_stack.python_service import command_of
from payment_pipeline.settings import Settings, load

LOADED: Final = """
{ workspaceOrError { ... on Workspace { locationEntries {
  loadStatus locationOrLoadError { __typename } } } } }
"""


async def ready(settings: Settings) -> bool:
    """Whether the UI knows the definitions of the code."""
    found = (await dagster.ask(settings, LOADED)).get("workspaceOrError", {})
    entries = found.get("locationEntries", [])
    return bool(entries) and all(
        entry["loadStatus"] == "LOADED"
        and entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        for entry in entries
    )


def main() -> None:
    """Become the guarded web server."""
    settings = load()
    workspace = str(dagster.workspace_path(settings))
    dagster.become(
        settings,
        [
            "orchestration_dagster.guarded_webserver",
            settings.host,
            str(settings.dagster_port),
            workspace,
        ],
    )


COMPONENT: Final = Component(
    name="dagster-webserver",
    order=120,
    command=command_of("local_stack.components.dagster_webserver"),
    ready=ready,
    address=dagster.address,
    ports=("dagster_port",),
    needs=("dagster-code",),
    group=LAKEHOUSE,
    secrets=(*dagster.STORAGE_SECRETS, "dagster_password"),
    generated_secrets=("dagster_password",),
    memory_mib=384,
    links=lambda settings: {"Dagster": dagster.address(settings)},
    ready_wait_s=180,
)

if __name__ == "__main__":
    main()
