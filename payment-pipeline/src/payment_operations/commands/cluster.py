"""Commands that deploy the platform to Kubernetes, and look after it there."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.STACK
app = typer.Typer(
    name="cluster",
    no_args_is_help=True,
    help="Deploy to the Kubernetes cluster of the current context (`KUBECONFIG`).",
)


class Profile(StrEnum):
    """The profiles of the charts: one node, or several with operators."""

    DEV = "dev"
    PRODUCTION = "production"


class Forwarding(StrEnum):
    """What to do with the forwarded ports."""

    START = "start"
    STOP = "stop"
    STATUS = "status"


OfProfile = Annotated[Profile, typer.Option("--profile", help="The profile of the charts.")]


def _values_of(chart: str, option: str) -> Any:  # noqa: ANN401 - what typer reads
    """The option with an operator's own values of a chart."""
    told = f"Values of your own for the chart `{chart}`, after the profile's. Repeatable."
    return typer.Option(option, help=told, exists=True, dir_okay=False)


Values = Annotated[list[Path] | None, _values_of("payments", "--values")]
StoreValues = Annotated[list[Path] | None, _values_of("stores", "--store-values")]


@app.command()
def check(profile: OfProfile = Profile.DEV) -> None:
    """Check the tools and the cluster, with a remedy for each problem; exit 1 if a check is red."""
    from payment_operations import cluster_checks, stack_text

    checks = cluster_checks.checks(profile.value)
    stack_text.show_checks(checks, Screen())
    raise typer.Exit(0 if all(each.ok for each in checks) else 1)


@app.command()
def setup(profile: OfProfile = Profile.DEV) -> None:
    """Make the namespace, and generate each missing secret into it. A repeat changes nothing.

    No secret is printed or written to a file.
    """
    from payment_operations import cluster_secrets

    cluster_secrets.ensure_namespace()
    made = cluster_secrets.ensure(profile.value)
    Screen().line(f"Secrets generated: {', '.join(made) or 'none, all exist'}")


@app.command()
def render(profile: OfProfile = Profile.DEV, values: Values = None) -> None:
    """Print the manifests of a profile, without a cluster. They hold no secret."""
    from payment_operations import cluster_release

    for chart in cluster_release.charts(profile.value, values or []):
        for manifest in cluster_release.rendered(chart):
            for line in ("---", *manifest.splitlines()):
                Screen().line(line)


@app.command()
def deploy(
    profile: OfProfile = Profile.DEV,
    values: Values = None,
    store_values: StoreValues = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="Undo an interrupted deployment first.")
    ] = False,
) -> None:
    """Install or upgrade the platform, and return when every pod is ready.

    A failed upgrade is rolled back. Run `payments cluster setup` first.
    """
    from payment_operations import cluster_release

    for chart in cluster_release.charts(profile.value, values or [], store_values or []):
        with Screen(stderr=True).status(f"{chart.name}: waiting until every pod is ready"):
            revision = cluster_release.deploy(chart, recover=recover)
        Screen().line(f"{chart.name}: revision {revision} is ready")


@app.command()
def destroy(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the platform and its namespace, with all data and secrets in it. It asks first."""
    from payment_operations import cluster_forwarding, cluster_release
    from payment_operations.cluster_tools import NAMESPACE, context

    question = f"Delete the namespace {NAMESPACE} of {context()}, with all its data and secrets?"
    if not yes and not Screen(stderr=True).confirm(question):
        raise typer.Exit(1)
    cluster_forwarding.stop(settings.load())
    cluster_release.destroy()
    Screen().line(f"The namespace {NAMESPACE} is gone.")


@app.command()
def status(
    only: Annotated[
        list[str] | None, typer.Argument(help="Workloads; all of them if you name none.")
    ] = None,
) -> None:
    """Show each workload, its ready pods and their restarts; exit 1 if one is not ready."""
    from payment_operations import cluster_workloads

    found = cluster_workloads.workloads(only or [])
    Screen().grid(cluster_workloads.table_of(found))
    raise typer.Exit(0 if found and all(each.is_ready for each in found) else 1)


@app.command()
def logs(
    workload: Annotated[
        str, typer.Argument(help="A workload, as `payments cluster status` shows it.")
    ],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0)] = 100,
) -> None:
    """Show the last log lines of a workload's pods."""
    from payment_operations import cluster_workloads

    Screen().output(cluster_workloads.logs(workload, lines))


@app.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def execute(context: typer.Context) -> None:
    """Run a command of `payments` in the cluster: `payments cluster exec audit --since 1h`.

    It runs in the pod `toolbox`, and ends with the exit code of the command.
    """
    from payment_operations import cluster_tools

    cluster_tools.become("exec", "--stdin", "deploy/toolbox", "--", "payments", *context.args)


@app.command()
def restart(
    only: Annotated[
        list[str] | None, typer.Argument(help="Workloads; all of ours if you name none.")
    ] = None,
) -> None:
    """Restart workloads pod by pod, and return when the new pods are ready. Nothing is lost."""
    from payment_operations import cluster_workloads

    for name in cluster_workloads.restart(only or []):
        Screen().line(f"{name}: restarted")


@app.command("port-forward")
def port_forward(do: Annotated[Forwarding, typer.Argument(help="start, stop or status.")]) -> None:
    """Forward ports of loopback to the gateway and the user interfaces, in the background."""
    from payment_operations import cluster_forwarding

    config = settings.load()
    if do is Forwarding.START:
        cluster_forwarding.start(config)
    elif do is Forwarding.STOP:
        cluster_forwarding.stop(config)
    running = cluster_forwarding.running(config)
    for name, address in running.items():
        Screen().labelled(name, address, width=12, indent=0)
    if not running:
        Screen().line("No port is forwarded.")
