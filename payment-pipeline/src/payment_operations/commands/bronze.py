"""Commands that correct and restore bronze: replay, backup, restore."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from payment_operations.command_options import INSTANT, AsJson
from payment_operations.commands import Panel
from payment_operations.terminal import Screen
from payment_pipeline import settings

PANEL: Final = Panel.REPAIR
app = typer.Typer()

REPLAY_BEFORE: Final = timedelta(hours=1)
"""How far behind the pipeline may have been at a backup; the audit says if it was more."""


@app.command()
def replay(
    since: Annotated[
        str, typer.Option("--from", help=f"Start of the window of receipts: {INSTANT}.")
    ],
    until: Annotated[str, typer.Option("--to", help="End of the window, exclusive; `0s` is now.")],
    provider: Annotated[str | None, typer.Option(help="Only events of this provider.")] = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", help="Only events of this type, by the provider's name or by ours."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0, help="Raw records a second at most; 0 is as fast as possible.")
    ] = 0,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait until bronze has the events that are sent on."),
    ] = 60,
    as_json: AsJson = False,
) -> None:
    """Normalize a window of receipts again, and correct bronze where the result differs.

    A row that differs is corrected in place. The old row goes to `payment_events_history`, the
    scores and decisions stay, the online features are computed again, and the next load brings the
    row to the lake and the marts. An event that is in no table (after a restore) is sent on like a
    new event. So is an event that was rejected when it arrived: its dead letter is closed once
    bronze has the event. Rows that do not differ are not written, so you may call it again.

    Exit 1 if something needs a person: a row whose event would not be accepted today, a dead letter
    that is still open, or a window that Kafka no longer holds.
    """
    from payment_operations import replay_window
    from payment_operations.operator_actions import recorded

    config = settings.load()
    with recorded(config, "replay", really=not dry_run) as act:
        code = replay_window.replay_window(
            config,
            (since, until),
            act.detail,
            provider=provider,
            event_type=type_,
            dry_run=dry_run,
            rate=rate,
            wait_s=wait,
            as_json=as_json,
        )
        act.detail["exit_code"] = code
    sys.exit(code)


@app.command()
def backup(
    file: Annotated[
        Path, typer.Argument(help="A new file. It holds personal data, as the database does.")
    ],
) -> None:
    """Write a snapshot of bronze's rows to an encrypted file, while the pipeline runs."""
    from payment_operations import backup as backups

    config = settings.load()
    done = backups.backup(config, file)
    Screen().line(
        f"{done.events:,} events in {file}, {done.bytes:,} bytes. Only the key {_key(config)} "
        "opens this file: keep a copy of the key in another place."
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `payments backup` wrote.")],
    unsigned: Annotated[
        bool,
        typer.Option(
            "--unsigned",
            help="Accept a file of an older version, which is neither encrypted nor signed.",
        ),
    ] = False,
) -> None:
    """Check a backup, load it into an empty database, and say which commands to run next."""
    from payment_operations import backup as backups
    from payment_operations import operator_actions

    config = settings.load()
    done = backups.restore(config, file, unsigned=unsigned)
    # Only now, because the backup brings the chain that this action continues.
    restored = {"events": done.events, "taken_at": done.taken_at.isoformat()}
    operator_actions.append(config, "restore", "ended", restored)
    since = done.taken_at - REPLAY_BEFORE
    screen = Screen()
    screen.line(f"{done.events:,} events are restored, as of {done.taken_at:%Y-%m-%dT%H:%M:%SZ}.")
    screen.line(
        "If a person was erased after that time, Kafka lacks records that this backup also lacks: "
        "restore a newer backup."
    )
    screen.line("Now run:")
    screen.line(
        f"  payments replay --from {since:%Y-%m-%dT%H:%M:%SZ} --to 0s   # events since the backup"
    )
    screen.line("  payments audit                    # proves that nothing is missing")
    screen.line("  payments lake reanchor            # the lake continues from this database")
    screen.line(
        "and then `payments dbt build --full-refresh`, see docs/runbooks/replay-and-restore.md."
    )


def _key(config: settings.Settings) -> str:
    """Where the key of the backups is."""
    if "backup_key" in config.given_secrets:
        return f"in {settings.variable('backup_key')}"
    return f"in {config.secrets_dir / 'backup_key'}"
