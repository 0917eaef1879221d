"""`payments secrets`: exchange a signing secret or a password while everything runs.

Imports are inside the verbs, as in `cli`.
"""

import sys
from typing import Annotated

import typer

from payment_pipeline import settings

app = typer.Typer(
    no_args_is_help=True, help="Exchange a signing secret or a password while everything runs."
)
Provider = Annotated[str, typer.Argument(help="As in the webhook's path, e.g. stripe.")]


@app.command("rotate")
def rotate(
    name: Annotated[
        str, typer.Argument(help="A provider, a password's file without path, or `s3`.")
    ],
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Take the provider's new secret from standard input.")
    ] = False,
) -> None:
    """Put a new signing secret beside the old one, both of which verify; or change another one.

    A password of PostgreSQL's is exchanged while its service runs; what is read only at a start
    (postgres_dagster_password, s3, superset_admin_password, superset_secret_key) starts its readers
    anew, and none of them is on a webhook's way.

    Without --stdin a random one is made, as for the simulator. Then roll it at the provider, and
    `retire` the old one. Secrets are named by the first 8 hex digits of their SHA-256.
    """
    from payment_operations import rotation

    loaded = settings.load()
    if name in rotation.HELD:
        restarted = rotation.rotate_held(loaded, name)
        said = (
            f"{', '.join(restarted)} started anew" if restarted else "it is read at the next start"
        )
        typer.echo(f"{name} is changed; {said}")
        return
    if not rotation.is_provider(name):
        rotation.rotate_password(loaded, name)
        typer.echo(f"{name} is changed; who is connected goes on")
        return
    new = rotation.rotate_signing(loaded, name, sys.stdin.read() if stdin else None)
    typer.echo(f"{new} is in the file, beside {', '.join(rotation.live(loaded, name)[1:])}")
    _show_live(name)


@app.command("retire")
def retire(
    provider: Provider,
    quiet_s: Annotated[
        float, typer.Option("--quiet-s", min=0, help="The old ones verified nothing for so long.")
    ] = 300,
    force: Annotated[
        bool, typer.Option("--force", help="Whether they are still used or not: they leaked.")
    ] = False,
) -> None:
    """Let only the newest signing secret verify; exit 1 while an older one is still used."""
    from payment_operations import rotation

    retired = rotation.retire_signing(settings.load(), provider, quiet_s, force=force)
    typer.echo(f"{', '.join(retired)} is out of the file")
    _show_live(provider)


def _show_live(provider: str) -> None:
    """Say what the gateway verifies with; exit 1 if that isn't what the file says."""
    from payment_operations import rotation

    said = rotation.wait_until_live(settings.load(), provider)
    if said is None:
        typer.echo("no gateway answers here; it reads the file at its start")
        return
    prints = ", ".join(rotation.live(settings.load(), provider))
    typer.echo(f"the gateway verifies with {prints}" if said else "the gateway has not taken it up")
    raise typer.Exit(0 if said else 1)
