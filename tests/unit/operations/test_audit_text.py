"""An audit as text and as JSON."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from payment_operations import audit_text
from payment_operations.terminal import Screen
from payment_pipeline.ledger import audit_json
from payment_pipeline.ledger.audit_runner import Report
from payment_pipeline.ledger.audit_window import Window
from payment_pipeline.ledger.client_attempts import Attempts
from payment_pipeline.ledger.reconciliation import reconcile
from payment_pipeline.ledger.stage_tally import UNSTATED, Money, Seen
from payment_pipeline.ledger.stages import PIPELINE, Reading, Stage

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
WAY = (Stage.ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED, Stage.BRONZE)
HUGE = 2**63 - 1


def audited(*ends: int, with_client: bool = True, complete: bool = True) -> Report:
    """One event for each end, which is the number of stages that it reached."""
    reading = Reading()
    for number, end in enumerate(ends):
        for stage in WAY[:end]:
            money = UNSTATED if stage is Stage.ACKNOWLEDGED else Money("EUR", HUGE)
            reading.stages[stage].add(Seen(None, f"evt_{number}", f"{number:032x}" * 2, money))
    attempts = Attempts(len(ends), 0, 0, 0) if with_client else None
    return Report(reconcile(reading), Window(None, NOW, complete), True, attempts, 0.5)


def lakehoused(*ends: int, pending: int = 0) -> Report:
    """One event for each end; the last `pending` are above the lake's watermark."""
    reading = Reading()
    way = (*WAY[1:], Stage.LAKE, Stage.FACTS)
    for stage in (Stage.LAKE, Stage.LAKE_QUARANTINE, Stage.FACTS):
        reading.renew(stage)
    for number, end in enumerate(ends):
        event = Seen(None, f"evt_{number}", f"{number:032x}" * 2, Money("EUR", 5))
        for stage in way[:end]:
            reading.stages[stage].add(event, 1 + number)
        if number >= len(ends) - pending:
            reading.pending[Stage.LAKE].add(event, 1 + number)
    return Report(reconcile(reading), Window(None, NOW, True), True, None, 0.5)


def said(found: Report) -> str:
    out = io.StringIO()
    audit_text.show(found, Screen(file=out, width=100))
    return out.getvalue()


def test_a_clean_audit_is_one_sentence() -> None:
    found = audited(4)
    assert (
        audit_json.verdict(found) == "clean: 1 acknowledged event, each at exactly one destination"
    )
    assert audit_json.verdict(audited(4, with_client=False)).startswith("clean: 1 received event")
    assert audit_json.as_json(found)["ok"] is True


def test_missing_events_are_named_with_a_next_step() -> None:
    found = audited(4, 3, 2)
    text = said(found)
    assert "2 missing: evt_1, evt_2; last seen in raw (1), normalized (1)" in text
    assert "payments logs normalizer" in text
    assert "payments trace ID" in text


def test_the_json_has_each_list_its_count_and_each_stage_its_total() -> None:
    answer = json.loads(json.dumps(audit_json.as_json(audited(4, 4, 3))))
    assert answer["ok"] is False
    assert (answer["missing"], answer["missing_count"]) == (["evt_2"], 1)
    assert answer["missing_seen_in"]["evt_2"][-1] == "normalized"
    for finding in ("duplicated", "unexplained", "mismatched", "unknown"):
        assert (answer[finding], answer[f"{finding}_count"]) == ([], 0)
    assert list(answer["stages"]) == [stage.value for stage in PIPELINE]
    assert answer["stages"]["bronze"] == {
        "events": 2,
        "records": 2,
        "hash_total": {"EUR": 2 * HUGE},
    }


def test_without_a_client_ledger_it_is_not_mentioned() -> None:
    answer = audit_json.as_json(audited(4, with_client=False))
    assert "acknowledged" not in answer["stages"]
    assert not {"others", "attempts"} & answer.keys()
    assert "client" not in said(audited(4, with_client=False))


def test_attempts_at_the_ends_of_the_window_are_counted() -> None:
    found = replace(audited(4), attempts=Attempts(judged=1, at_edge=1_200, outside=7, unread=2))
    answer = audit_json.as_json(found)
    assert answer["ok"] is True
    assert answer["attempts"] == {"judged": 1, "at_edge": 1_200, "outside": 7}
    assert answer["client_lines_unread"] == 2
    text = " ".join(said(found).split())
    assert (
        "Left out: 1,200 of the client's attempts, because they are so near to the window's" in text
    )
    assert "Outside of the window: 7 of the client's attempts." in text
    assert "Unreadable: 2 lines of the client's ledger." in text


@pytest.mark.parametrize("left_out", [Attempts(0, 40, 0, 0), Attempts(0, 0, 40, 0)])
def test_an_audit_without_a_judged_attempt_is_not_clean(left_out: Attempts) -> None:
    found = replace(audited(), attempts=left_out)
    assert (found.ok, audit_json.as_json(found)["ok"]) == (False, False)
    assert audit_json.verdict(found).startswith(
        "nothing judged: the window leaves out every attempt"
    )
    assert "clean" not in said(found)
    empty = replace(audited(), attempts=Attempts(0, 0, 0, 0))
    assert (empty.ok, audit_json.verdict(empty)) == (
        False,
        "nothing judged: the client's ledger is empty",
    )
    faulty = replace(audited(3), attempts=left_out)
    assert audit_json.verdict(faulty).startswith("not clean: 1 missing")


def test_a_window_without_its_earlier_records_is_incomplete() -> None:
    found = audited(4, complete=False)
    answer = audit_json.as_json(found)
    assert answer["window"]["complete"] is False
    assert answer["stages"]["raw"]["complete"] is False
    assert "Kafka no longer holds the earlier records" in said(found)


def test_an_absent_lakehouse_is_one_line() -> None:
    why = "Trino is not running"
    found = replace(audited(4), absent=dict.fromkeys((Stage.LAKE, Stage.FACTS), why))
    assert "Not audited: lake, facts (Trino is not running)." in said(found).splitlines()
    answer = audit_json.as_json(found)
    assert answer["ok"] is True
    assert answer["not_audited"] == {"lake": why, "facts": why}
    assert "lake" not in answer["stages"]
    assert answer["pending"] == {}


def test_events_that_wait_for_a_load_are_pending_and_not_missing() -> None:
    found = lakehoused(5, 3, pending=1)
    assert audit_json.verdict(found).endswith(
        "each at exactly one destination, and on to the facts"
    )
    answer = audit_json.as_json(found)
    assert list(answer["stages"])[-3:] == ["lake", "lake_quarantine", "facts"]
    assert answer["pending"] == {"lake": 1, "lake_quarantine": 0, "facts": 0}
    assert "not_audited" not in answer
    assert "1 not in the lake yet: the next load adds them." in said(found)


@pytest.mark.parametrize(("end", "advice"), [(3, "re-load of their day"), (4, "--full-refresh")])
def test_events_missing_in_the_lakehouse_have_a_next_step(end: int, advice: str) -> None:
    assert advice in said(lakehoused(end)).replace("\n", " ")


def test_each_day_has_its_stages_with_events_and_totals() -> None:
    found = lakehoused(5, 3)
    part = {"events": 1, "hash_total": {"EUR": 5}}
    way = ("raw", "normalized", "bronze")
    assert audit_json.as_json(found)["days"] == {
        "1970-01-02": dict.fromkeys((*way, "lake", "facts"), part),
        "1970-01-03": dict.fromkeys(way, part),
    }
    out = io.StringIO()
    audit_text.show(found, Screen(file=out, width=140))
    lines = [line.split() for line in out.getvalue().splitlines()]
    first = lines.index(["1970-01-02", "events", *"110010101"])
    assert lines[first + 1] == ["EUR", *"550050505"]


def test_totals_that_agree_share_a_column_on_a_narrow_screen_too() -> None:
    out = io.StringIO()
    audit_text.show(lakehoused(5, 5), Screen(file=out, width=60))
    totals = out.getvalue().split("Hash totals")[1]
    assert "raw = normalized = bronze = lake = facts" in " ".join(totals.split())
    assert ["EUR", "10"] in [line.split() for line in totals.splitlines()]


def test_a_different_total_has_its_own_column() -> None:
    totals = said(audited(4, 2)).split("Hash totals")[1]
    assert ["EUR", f"{2 * HUGE:,}", f"{HUGE:,}"] in [line.split() for line in totals.splitlines()]
