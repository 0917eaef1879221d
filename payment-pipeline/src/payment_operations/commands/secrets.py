"""Commands that generate secrets, and exchange them while the pipeline runs."""

import sys
from typing import Annotated, Final

import typer

from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.STACK
app = typer.Typer(
    name="secrets",
    no_args_is_help=True,
    help="Generate secrets; exchange a signing secret or a password while the pipeline runs.",
)


@app.command("generate")
def generate(
    more: Annotated[
        list[str] | None, typer.Argument(help="Names of further secrets, of other servers.")
    ] = None,
    for_containers: Annotated[
        bool,
        typer.Option(
            "--for-containers",
            help="Let the users of containers read the files. Their folder stays private.",
        ),
    ] = False,
) -> None:
    """Generate each secret that is missing, as a file in `<var>/secrets`.

    `payments up` does this too. Files that are there stay as they are.
    """
    from local_stack import files, generated_secrets

    loaded = settings.load()
    files.make_folders(loaded)
    made = generated_secrets.generate(loaded, tuple(more or ()))
    if for_containers:
        for path in loaded.secrets_dir.iterdir():
            path.chmod(0o644)
    Screen().line(f"{loaded.secrets_dir}: {', '.join(made) or 'nothing to do'}")


@app.command("rotate")
def rotate(
    name: Annotated[
        str,
        typer.Argument(help="A provider, the file name of a password, or `s3`."),
    ],
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the provider's new secret from standard input.")
    ] = False,
) -> None:
    """Add a new signing secret to the old one, or replace a password.

    Webhooks that are signed with the new or with the old secret are accepted. Without `--stdin` the
    new secret is random, which serves the simulator. With a real provider, add its new secret here
    with `--stdin`, activate it at the provider, then run `payments secrets retire`. The output
    names a secret by the first 8 hex digits of its SHA-256.

    The passwords of the users of PostgreSQL and Kafka change while their services run. A new
    `inference_token` or key of `temporal_payload_keys` comes in front of the old ones. Some secrets
    are read only at a start (postgres_dagster_password, s3, superset_admin_password,
    superset_secret_key): the command restarts the components that read them. No webhook depends on
    those components.
    """
    from payment_operations import rotation
    from payment_operations.operator_actions import recorded

    loaded = settings.load()
    with recorded(loaded, "secrets rotate", required=False) as act:
        said = _rotate(loaded, name, stdin=stdin)
        act.detail["secret"] = name  # only now it is known to be a secret's name
    Screen().line(said)
    if rotation.is_provider(name):
        _show_live(name)


def _rotate(loaded: settings.Settings, name: str, *, stdin: bool) -> str:
    """Exchange one secret, and say what that did."""
    from local_stack import kafka_users
    from payment_operations import live_rotation, rotation
    from payment_pipeline.secret_length import SEVERAL

    if name in rotation.HELD:
        restarted = rotation.rotate_held(loaded, name)
        effect = (
            f"{', '.join(restarted)} restarted" if restarted else "it is read at the next start"
        )
        return f"{name} is changed; {effect}"
    if name in SEVERAL:
        new = live_rotation.add_in_front(loaded, name)
        return f"{new} is in the file of {name}, in front of the older ones, which stay valid"
    if name in kafka_users.SECRETS:
        live_rotation.rotate_kafka_password(loaded, name)
        return f"{name} is changed; open connections continue"
    if not rotation.is_provider(name):
        rotation.rotate_password(loaded, name)
        return f"{name} is changed; open connections continue"
    new = rotation.rotate_signing(loaded, name, sys.stdin.read() if stdin else None)
    old = ", ".join(rotation.live(loaded, name)[1:])
    return f"{new} is in the file, in front of {old}"


@app.command("retire")
def retire(
    name: Annotated[
        str, typer.Argument(help="A provider, `inference_token` or `temporal_payload_keys`.")
    ],
    quiet_s: Annotated[
        float,
        typer.Option(
            "--quiet-s", min=0, help="Seconds in which no webhook may have used an old secret."
        ),
    ] = 300,
    force: Annotated[
        bool,
        typer.Option("--force", help="Retire the old secrets even if they are used: they leaked."),
    ] = False,
) -> None:
    """Accept only the newest secret of several; exit 1 while an older one is still used."""
    from payment_operations import live_rotation, rotation
    from payment_operations.operator_actions import recorded
    from payment_pipeline.secret_length import SEVERAL

    loaded = settings.load()
    with recorded(loaded, "secrets retire", required=False) as act:
        if name in SEVERAL:
            retired = live_rotation.retire_older(loaded, name, force=force)
        else:
            retired = rotation.retire_signing(loaded, name, quiet_s, force=force)
        act.detail |= {"secret": name, "retired": retired, "forced": force}
    Screen().line(f"{', '.join(retired)} removed from the file")
    if name not in SEVERAL:
        _show_live(name)


def _show_live(provider: str) -> None:
    """Say which secrets the gateway accepts; exit 1 if they are not those of the file."""
    from payment_operations import rotation

    live = rotation.wait_until_live(settings.load(), provider)
    if live is None:
        Screen().line("no gateway answers on this machine; a gateway reads the file when it starts")
        return
    prints = ", ".join(rotation.live(settings.load(), provider))
    Screen().line(
        f"the gateway accepts {prints}"
        if live
        else "the gateway has not loaded the file yet: see `payments logs gateway`"
    )
    raise typer.Exit(0 if live else 1)
