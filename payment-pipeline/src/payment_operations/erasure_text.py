"""An erasure as JSON and as text for the terminal."""

from datetime import UTC, datetime
from typing import Any

from payment_pipeline.erasure.erasure_steps import Found, Proof

from .terminal import Grid, Screen, number_column, table, text_column


def search_as_json(found: Found) -> dict[str, Any]:
    """The result of a search, which changes nothing."""
    whole_from = found.cut.whole_from
    return {
        "ok": True,
        "found": found.counts(),
        "open_letters": found.open_letters,
        "neighbours_cut": found.cut.neighbours,
        "replayable_from": whole_from and whole_from.isoformat(),
    }


def proof_as_json(proof: Proof) -> dict[str, Any]:
    """The result of an erasure. Do not restore a backup that was begun before `backup_from`."""
    return {
        "ok": not proof.left,
        "erasure": proof.number,
        "found": proof.found,
        "left": proof.left,
        "neighbours_cut": proof.neighbours,
        "replayable_from": proof.replayable_from and proof.replayable_from.isoformat(),
        "backup_from": datetime.now(UTC).isoformat(),
    }


def show(answer: dict[str, Any], screen: Screen, *, as_json: bool) -> None:
    """Print one of the two: where the person is named, and what that means."""
    if as_json:
        screen.json(answer)
        return
    found, left = answer["found"], answer.get("left")
    if not found and not left:
        screen.line("No record, row, file or workflow names this person.")
        return
    screen.grid(_table(found, left))
    for line in sentences(answer):
        screen.line(line)


def _table(found: dict[str, int], left: dict[str, int] | None) -> Grid:
    headers = ("found", *(("left",) if left is not None else ()))
    shown = table(text_column("location"), *map(number_column, headers))
    for location in {**found, **(left or {})}:
        counts = [found.get(location, 0), *([left.get(location, 0)] if left is not None else [])]
        shown.row(location, *map("{:,}".format, counts))
    return shown


def sentences(answer: dict[str, Any]) -> list[str]:
    """What an operator has to know or to do, one sentence or two a line."""
    lines = []
    if letters := answer.get("open_letters"):
        lines.append(
            f"{len(letters):,} dead letters of this person are open. Redrive or dismiss them first."
        )
    if answer["replayable_from"]:
        lines.append(
            f"{answer['neighbours_cut']:,} Kafka records of other customers are older than this "
            "person's newest record and are deleted too; their events are in bronze. Kafka can no "
            f"longer replay everything that was received before {answer['replayable_from']}, so a "
            "backup from before this erasure can never be completed by a replay."
        )
    if "ledger" in answer:
        lines.append(f"Audit of bronze, lake and facts: {answer['ledger']}.")
    if answer.get("left"):
        lines.append(
            "The erasure is not complete: new records of this person arrived, or one is still in "
            "progress. Delete the customer at the provider, then call this command again."
        )
    elif "left" in answer:
        lines.append(
            f"Erased; nothing is left. This is erasure {answer['erasure']} in the table erasures."
        )
    if "backup_from" in answer:
        lines.append(
            "Now take a backup (`payments backup FILE`) and delete all older backups: they still "
            "hold this person's data."
        )
    return lines
