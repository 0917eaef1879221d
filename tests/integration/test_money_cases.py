"""The money of real payment shapes in the marts, from the provider's events to the facts.

Each file of `tests/providers/stripe_cases` has the events of one case in the order of sending, and
says what is right and why. `docs/guides/money.md` states the rules. Each fixture pair of each
provider goes the same way: what its event states must be in the facts.
"""

import json
import random
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.bronze.contract import EVENTS_TABLE, InferenceStatus
from payment_pipeline.bronze.rows import COLUMNS, ScoredEvent, to_record
from payment_pipeline.domain.events import EventBase, PaymentEvent
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from support import lake_rows
from support.dbt_project import Dbt, project
from support.lake_rows import Row
from support.money_shapes import LARGEST_MINOR, SHAPES
from support.pairs import Pair, normalize, pairs

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

FOLDER: Final = Path(__file__).parents[1] / "providers/stripe_cases"
CASES: Final = {
    path.stem: json.loads(path.read_text())["events_in_order_of_sending"]
    for path in sorted(FOLDER.glob("*.json"))
}
PAYMENT: Final = (
    "select {columns} from {marts}.fct_payments where payment_id = '{id}' or payment_id = '{other}'"
)


def payment(payment_id: str, columns: str, *values: object, other: str = "") -> "Expected":
    query = PAYMENT.format(columns=columns, id=payment_id, other=other, marts="{marts}")
    return query, [values]


def subscription(object_id: str, columns: str, *values: object) -> "Expected":
    """The newest movement of a subscription."""
    return (
        f"""select {columns} from {{marts}}.fct_subscriptions
        where subscription_id = '{object_id}' order by moved_at desc limit 1""",
        [values],
    )


Expected = tuple[str, list[tuple[object, ...]]]
AMOUNTS: Final = "state, captured_amount, refunded_amount, disputed_amount, net_amount"
EXPECTED: Final[Mapping[str, Expected]] = {
    "01a_partial_capture_release_acacia": payment("pi_bh4a4", AMOUNTS, "succeeded", 203, 0, 0, 203),
    "01b_partial_capture_release_and_real_refund_acacia": payment(
        "pi_bh4a4r", AMOUNTS, "succeeded", 203, 50, 0, 153
    ),
    "02_partial_capture_then_refund_told_by_charge_only_basil": payment(
        "pi_bh4a3n", AMOUNTS, "succeeded", 203, 50, 0, 153
    ),
    "03a_uncaptured_charge_let_go_acacia": payment("ch_bh4a6", AMOUNTS, "canceled", 0, 0, 0, 0),
    "05_dispute_partially_won": payment("pi_bh1b1", AMOUNTS, "succeeded", 100, 40, 60, 0),
    "06_dispute_in_another_currency": payment(
        "pi_bh1b6", f"is_disputed, currency, {AMOUNTS}", True, "GBP", "succeeded", 100, 0, 0, 100
    ),
    "07a_inquiry_closed_then_charged_back": (
        """select outcome, disputed_amount, closed_at from {marts}.fct_disputes
        where dispute_id = 'du_bh1b3'""",
        [("open", 70, None)],
    ),
    "08a_incremental_authorization": payment(
        "pi_bh1c1", "authorized_amount, state", 15, "authorized"
    ),
    "09a_two_event_objects_for_one_failure": payment("pi_bh1c5", "failed_attempts, attempts", 1, 1),
    "10a_updates_of_one_second_status": subscription(
        "sub_bh2d7", "status, closing_mrr", "active", 25
    ),
    "10b_trial_will_end_and_update_of_one_second": subscription(
        "sub_bh2d7b", "status, closing_mrr", "active", 60
    ),
    "11a_forever_coupon_percent": subscription("sub_bh2d1", "closing_mrr", 50),
    "12a_base_fee_and_tiered_metered_item": subscription(
        "sub_bh2d4", "closing_mrr, has_unknown_amount", 49, True
    ),
    "13a_mixed_intervals": subscription("sub_bh2d5", "closing_mrr, has_unknown_amount", 20, False),
    "14_pause_collection": subscription("sub_bh2d2", "closing_mrr, is_collection_paused", 0, True),
    "15_subscription_of_2016_without_items": subscription(
        "sub_bh2d9", "closing_mrr, currency", 60, "USD"
    ),
    "16a_same_event_other_pending_webhooks": (
        "select count(*) from {marts}.fct_payment_events where event_id = 'evt_bh2_e1_1'",
        [(1,)],
    ),
    "17_organization_event_context": payment("ch_bh2e3", "merchant_id", "acct_bh2ORG1"),
    "18b_custom_customer_id_in_live_and_test": (
        """select is_delinquent, country from {marts}.dim_customer
        where customer_id = 'member-77' and is_current order by country""",
        [(False, "FR"), (True, "US")],
    ),
    "19b_dispute_without_payment_intent": payment(
        "pi_bh3b11", AMOUNTS, "succeeded", 20, 0, 20, 0, other="ch_bh3b11"
    ),
    **{name: shape.expected for name, shape in SHAPES.items()},
}


PAID: Final = [pair for pair in pairs() if pair.event["kind"] in ("payment", "charge")]
"""The pairs of events that state the money of a payment."""


@pytest.fixture(scope="module")
def marts(lakehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """All cases in one lake: half of the events and a build, then the rest and another build."""
    events = [*CASES.values(), *(shape.events for shape in SHAPES.values())]
    rows = [row for case in events for row in _rows(case)]
    rows += [_row_of_pair(pair) for pair in PAID]
    random.Random(7).shuffle(rows)
    half = len(rows) // 2
    dbt = project(lakehouse, tmp_path_factory)
    catalog = open_catalog(lakehouse)
    lake_rows.append(catalog, dbt.data_schema, {EVENTS_TABLE: lake_rows.loaded(rows[:half])})
    dbt.run("build", "--resource-types", "seed", "model")
    rest = lake_rows.loaded(rows[half:], after=half)
    lake_rows.append(catalog, dbt.data_schema, {EVENTS_TABLE: rest})
    dbt.run("build", "--exclude-resource-types", "seed", "unit_test")
    return dbt


def test_every_case_has_its_right_value() -> None:
    assert EXPECTED.keys() == CASES.keys() | SHAPES.keys()


@pytest.mark.parametrize("case", EXPECTED)
def test_a_case_has_its_right_money(marts: Dbt, case: str) -> None:
    query, expected = EXPECTED[case]
    found = [
        tuple(map(_plain, row)) for row in marts.query(query.format(marts=marts.schema("marts")))
    ]
    assert found == expected


def test_every_provider_has_a_pair_that_states_money() -> None:
    assert {pair.provider for pair in PAID} == set(providers())


@pytest.mark.parametrize("pair", PAID, ids=lambda pair: f"{pair.provider}/{pair.name}")
def test_a_provider_s_money_and_state_reach_the_facts(marts: Dbt, pair: Pair) -> None:
    event = pair.event
    major = Decimal(10) ** -event["currency_exponent"]
    captured_minor = event.get("amount_received_minor", event.get("amount_captured_minor", 0))
    (found,) = marts.query(
        "select state, currency, captured_amount, refunded_amount, decline_reason, decline_class"
        f" from {marts.schema('marts')}.fct_payments where provider = '{_apart(pair)}'"
    )
    declined = event.get("decline", {}) if event["status"] == "failed" else {}
    assert found == (
        event["status"],
        event["currency"],
        captured_minor * major,
        event.get("amount_refunded_minor", 0) * major,
        declined.get("reason"),
        declined.get("decline_class"),
    )


def _apart(pair: Pair) -> str:
    """A provider name for each pair, because pairs share ids."""
    return f"{pair.provider}/{pair.name}"


def _row_of_pair(pair: Pair) -> Row:
    event = normalize(pair.body, pair.provider)
    assert isinstance(event, EventBase), event
    return _row(event) | {"provider": _apart(pair)}


def test_no_sum_overflows_by_the_largest_amounts(marts: Dbt) -> None:
    """The drill `poison` sends the same amounts through the pipeline up to bronze."""
    schema = marts.schema("marts")
    ((lake, facts, verdicts),) = marts.query(
        f"""select max(lake_amount_minor), max(facts_amount_minor), array_agg(distinct verdict)
        from {schema}.fct_audit where currency = 'USD'"""
    )
    assert lake == facts > 2 * LARGEST_MINOR
    assert verdicts == ["adds up"]
    largest = Decimal(LARGEST_MINOR) / 100
    for table in ("fct_payments", "fct_daily_payments"):
        ((captured,),) = marts.query(
            f"select sum(captured_amount) from {schema}.{table} where currency = 'USD'"
        )
        assert captured > largest, table


def _rows(events: list[dict[str, Any]]) -> list[Row]:
    """The bronze rows of a case: bronze keeps the first delivery of each event."""
    rows: dict[str, Row] = {}
    for event in events:
        body = json.dumps(event).encode()
        found = normalize(body)
        assert isinstance(found, EventBase), found
        rows.setdefault(found.event_id, _row(found))
    return list(rows.values())


def _row(event: PaymentEvent) -> Row:
    record = to_record(ScoredEvent(event, None, InferenceStatus.NOT_APPLICABLE), "test")
    row = dict(zip(COLUMNS, record, strict=True))
    return row | {"attributes": row["attributes"].decode()}


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Decimal) and value == int(value) else value
