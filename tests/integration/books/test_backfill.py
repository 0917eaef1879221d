"""Withheld webhooks are fetched from the provider's API once, on the whole pipeline."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from conftest import free_ports, own_stack
from payment_pipeline.settings import Settings
from support import commands
from support.normalized_events import rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

EVENTS: Final = 400


@contextmanager
def provider_api(settings: Settings, *world: str) -> Iterator[Settings]:
    """Serve the simulated API as an operator does; yield settings that name it."""
    [port] = free_ports(1)
    served = commands.start(
        settings, "provider-api", "--port", str(port), "--throttled", "0.1", *world
    )
    try:
        assert served.stdout is not None
        line = served.stdout.readline()
        assert str(port) in line, line
        yield settings.model_copy(update={"api_url_stripe": f"http://127.0.0.1:{port}"})
    finally:
        served.terminate()
        served.communicate(timeout=60)


def call(settings: Settings, code: int, *words: str) -> dict[str, Any]:
    done = commands.call(settings, *words, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_withheld_webhooks_are_fetched_once_and_the_audit_is_clean_again(tmp_path: Path) -> None:
    until = datetime.now(UTC) - timedelta(hours=1)
    world = ("--events", str(EVENTS), "--days", "9", "--until", f"{until:%Y-%m-%dT%H:%M:%S}")
    with own_stack() as stack, provider_api(stack, *world) as settings:
        ledger = str(tmp_path / "ledger.jsonl")
        call(settings, 0, "simulate", *world, "--withheld", "0.1", "--ledger", ledger)
        call(settings, 0, "audit")
        assert call(settings, 2, "books", "status")["verdict"].startswith("not judged")

        call(settings, 0, "books", "pull")
        missing = call(settings, 1, "books", "status")["missing"]
        assert 10 < len(missing) < 80
        assert call(settings, 1, "audit")["provider"]["missing"] == missing
        dry = call(settings, 0, "books", "backfill", "--missing", "--dry-run")
        assert dry["outcomes"] == {"missing": len(missing)}

        filled = call(settings, 0, "books", "backfill", "--missing", "--by", "ana")
        assert filled["outcomes"] == {"written": len(missing)}
        assert call(settings, 0, "books", "status")["missing"] == []
        assert call(settings, 0, "audit")["ok"]
        again = call(settings, 0, "books", "backfill", "--missing", "--by", "ana")
        assert again["events"] == []

        provenance = rows(
            settings,
            "SELECT count(*) FROM payment_events JOIN provider_backfills "
            "USING (provider, event_id, body_sha256) WHERE asked_by = 'ana'",
        )
        assert provenance == [(len(missing),)]
