"""Whether an audit says what it found, in words and in JSON."""

import io
import json
from datetime import UTC, datetime

from rich.console import Console

from payment_pipeline.ledger import report
from payment_pipeline.ledger.audit import reconcile
from payment_pipeline.ledger.run import Report
from payment_pipeline.ledger.stages import PIPELINE, Reading, Stage
from payment_pipeline.ledger.tally import UNSTATED, Money, Seen
from payment_pipeline.ledger.window import Window

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
WAY = (Stage.ACKNOWLEDGED, Stage.RAW, Stage.NORMALIZED, Stage.BRONZE)
HUGE = 2**63 - 1


def audited(*ends: int, with_client: bool = True, complete: bool = True) -> Report:
    """One event for each end: how many of the way's stages it reached."""
    reading = Reading()
    for number, end in enumerate(ends):
        for stage in WAY[:end]:
            money = UNSTATED if stage is Stage.ACKNOWLEDGED else Money("EUR", HUGE)
            reading.stages[stage].add(Seen(None, f"evt_{number}", f"{number:032x}" * 2, money))
    return Report(reconcile(reading), Window(None, NOW, complete), True, with_client, 0, 0.5)


def said(found: Report) -> str:
    out = io.StringIO()
    report.show(found, Console(file=out, width=100))
    return out.getvalue()


def test_a_clean_audit_says_so_in_a_sentence() -> None:
    found = audited(4)
    assert report.verdict(found) == "clean: 1 acknowledged event, each in exactly one place"
    assert report.verdict(audited(4, with_client=False)).startswith("clean: 1 received event")
    assert report.as_json(found)["ok"] is True


def test_missing_events_are_named_with_what_to_do() -> None:
    found = audited(4, 3, 2)
    text = said(found)
    assert "2 missing: evt_1, evt_2; last seen in raw (1), normalized (1)" in text
    assert "payments logs normalizer" in text
    assert "payments trace ID" in text


def test_the_json_has_each_list_its_count_and_each_stage_its_total() -> None:
    answer = json.loads(json.dumps(report.as_json(audited(4, 4, 3))))
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


def test_without_a_client_nothing_is_said_of_it() -> None:
    answer = report.as_json(audited(4, with_client=False))
    assert "acknowledged" not in answer["stages"]
    assert "others" not in answer


def test_a_window_that_is_partly_covered_is_not_called_complete() -> None:
    found = audited(4, complete=False)
    answer = report.as_json(found)
    assert answer["window"]["complete"] is False
    assert answer["stages"]["raw"]["complete"] is False
    assert "retention has passed" in said(found)
