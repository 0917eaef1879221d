"""Superset's dashboards in a browser: every chart is drawn and has figures, as after a demo.

The lake is filled with ninety seeded days that were received within an hour, dbt builds the marts,
and Superset is provisioned twice from its files. A browser opens each dashboard with its default
time range, then again with a time range without events. Screenshots go to `var/screenshots`.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import yaml

from drills import dashboard_rows
from local_stack.components import superset
from payment_operations.stack_start import up
from payment_pipeline.settings import Settings
from payment_pipeline.simulator.actors import MERCHANT_NAMES
from support import processes
from support.browser import Browser, Chart, chromium, in_time_range
from support.dbt_project import Dbt
from support.repository import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

OWN_SOURCES: Final = ("blob:", "data:")
"""The schemes in a content security policy that name no server."""
CSRF: Final = re.compile(r'csrf_token[^>]*?value="([^"]+)"')
SCREENSHOTS: Final = ROOT / "var/screenshots"
PRESENT: Final = ("Audit by day and currency", "Review queue")
"""Tables that show each row that needs a person, however old."""
BEFORE_ANYTHING: Final = "2001-01-01 : 2001-02-01"
TABLES: Final = {
    "databases": "dbs",
    "datasets": "tables",
    "charts": "slices",
    "dashboards": "dashboards",
}
"""Kind of asset → its table in Superset's metadata."""
DASHBOARDS: Final = [
    yaml.safe_load(path.read_text())
    for path in sorted(superset.FOLDER.glob("assets/dashboards/*.yaml"))
]


@pytest.fixture(scope="module")
def dashboards(lakehouse: Settings, built: Dbt) -> Iterator[Settings]:
    """Superset on the marts, with a read-only user, provisioned at least twice."""
    if not superset.installed():
        pytest.skip(
            "NOT TESTED: the import of the dashboards' files into Superset. Superset is not"
            " installed: run make setup-superset"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERSET_MARTS_SCHEMA", built.schema("marts"))
        up(lakehouse, only=("superset",))
        superset.prepare(lakehouse, lambda _more, _done: None)
        yield lakehouse


@pytest.fixture(scope="module")
def browser(dashboards: Settings) -> Iterator[Browser]:
    binaries = chromium()
    if binaries is None:
        pytest.skip(
            "NOT TESTED: whether the charts are drawn, have figures and apply the time range. There"
            " is no browser: install chromium and chromium-driver"
        )
    with Browser(*binaries) as opened:
        password = dashboards.secret("superset_admin_password")
        opened.log_in(superset.address(dashboards), superset.ADMIN, password)
        yield opened


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each["slug"]))
def test_every_chart_is_drawn_with_figures(
    dashboard: dict[str, Any], dashboards: Settings, browser: Browser
) -> None:
    charts = {
        item["meta"]["sliceName"]
        for item in dashboard["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
    }
    found = seen(browser, address(dashboards, dashboard), f"{dashboard['slug']}.png")
    assert {chart.name for chart in found} == charts
    assert {chart.name: chart.complaint for chart in found if chart.complaint} == {}
    assert [chart.name for chart in found if not chart.is_drawn] == []
    assert [chart.name for chart in found if not chart.has_figures] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each["slug"]))
def test_an_odd_date_stretches_no_axis(
    dashboard: dict[str, Any], dashboards: Settings, browser: Browser
) -> None:
    """The history has payments, failures and subscriptions of 2016 and of 2034."""
    found = seen(browser, address(dashboards, dashboard), f"{dashboard['slug']}.png")
    now = datetime.now(UTC)
    # The first week of the range may begin before the range.
    odd = {
        chart.name: at
        for chart in found
        for at in chart.moments
        if chart.name not in PRESENT and not now - timedelta(days=97) < at <= now
    }
    assert odd == {}
    assert any(chart.moments for chart in found)


def test_merchants_are_shown_by_their_names(dashboards: Settings, browser: Browser) -> None:
    (dashboard,) = [each for each in DASHBOARDS if each["slug"] == "payments"]
    found = seen(browser, address(dashboards, dashboard), "payments.png")
    (shown,) = next(chart for chart in found if chart.name == "By merchant").answers
    names = {row["merchant_name"] for row in shown}
    assert names <= {*MERCHANT_NAMES, "Platform (stripe)"}
    assert len(names) > 1


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each["slug"]))
def test_a_time_range_without_events_empties_the_charts_that_apply_it(
    dashboard: dict[str, Any], dashboards: Settings, browser: Browser
) -> None:
    chosen = time_filter(dashboard)
    timeless = {
        item["meta"]["sliceName"]
        for item in dashboard["position"].values()
        if isinstance(item, dict) and item["type"] == "CHART"
        if item["meta"]["chartId"] in chosen["scope"]["excluded"]
    }
    url = in_time_range(address(dashboards, dashboard), chosen["id"], BEFORE_ANYTHING)
    found = seen(browser, url, f"{dashboard['slug']}-before-anything.png")
    assert {chart.name for chart in found if chart.has_figures} == timeless


def test_a_time_range_that_ends_within_a_day_includes_that_day(
    dashboards: Settings, browser: Browser, built: Dbt
) -> None:
    """A range that ends now must include today's payments."""
    days = built.query(
        "select created_on, currency, is_live, attempted_payments"
        f" from {built.schema('marts')}.fct_daily_payments where attempted_payments > 0"
    )
    is_live = any(live for _day, _currency, live, _payments in days)
    last = max(day for day, _currency, live, _payments in days if live is is_live)
    first = last - timedelta(days=10)
    expected = Counter[str]()
    for day, currency, live, payments in days:
        if live is is_live and day >= first:
            expected[currency] += payments
    (dashboard,) = [each for each in DASHBOARDS if each["slug"] == "payments"]
    url = in_time_range(
        address(dashboards, dashboard),
        time_filter(dashboard)["id"],
        f"{first}T00:00:00 : {last}T12:00:00",
    )
    found = seen(browser, url, "payments-in-a-time-range.png")
    (shown,) = next(chart for chart in found if chart.name == "By currency").answers
    assert {row["currency"]: row["payments"] for row in shown if row["payments"]} == expected


async def test_the_drills_read_every_row_that_a_chart_can_read(
    dashboards: Settings, built: Dbt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_of(table: str) -> int:
        ((rows,),) = built.query(f"select count(*) from {built.schema('marts')}.{table}")
        return int(rows)

    async def seen() -> int:
        return len([row async for row in dashboard_rows.all_rows(dashboards)])

    datasets = [path.stem for path in superset.FOLDER.glob("assets/datasets/*.yaml")]
    counts = [rows_of(each) for each in datasets]
    monkeypatch.setattr(dashboard_rows, "PAGE_ROWS", max(counts) // 3)
    assert await seen() == sum(counts)
    async with dashboard_rows.temporary_dataset(dashboards, built.schema("marts"), "dim_currency"):
        assert await seen() == sum(counts) + rows_of("dim_currency")
    assert await seen() == sum(counts), "it is gone again"


def test_provisioning_again_creates_no_duplicates(dashboards: Settings) -> None:
    files = {kind: len(list(superset.FOLDER.glob(f"assets/{kind}/**/*.yaml"))) for kind in TABLES}
    with closing(sqlite3.connect(superset.home(dashboards) / "superset.db")) as metadata:
        rows = {
            kind: metadata.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for kind, table in TABLES.items()
        }
    assert rows == files


def test_nothing_is_shown_without_a_login(dashboards: Settings) -> None:
    with httpx.Client(base_url=superset.address(dashboards)) as stranger:
        for kind in ("dashboard", "chart", "dataset", "database"):
            listed = stranger.get(f"/api/v1/{kind}/")
            assert (listed.status_code, listed.json().get("result", [])) in ((401, []), (200, []))
            assert stranger.get(f"/api/v1/{kind}/1").status_code in (401, 403, 404)
        asked = stranger.post("/api/v1/sqllab/execute/", json={"sql": "SELECT 1"})
        assert asked.status_code in (400, 401, 403)
        page = stranger.get(f"/superset/dashboard/{DASHBOARDS[0]['slug']}/")
        assert page.status_code in (302, 403, 404)
        assert stranger.post("/register/form").status_code in (302, 400, 404)


def test_the_home_page_is_the_payments_dashboard(dashboards: Settings, browser: Browser) -> None:
    home = "/superset/dashboard/payments/"
    assert urlsplit(browser.landed_at).path == home, "the page after the login"
    with httpx.Client(base_url=superset.address(dashboards)) as stranger:
        for path in ("/", "/superset/welcome/"):
            assert stranger.get(path).headers["Location"] == home


def test_a_page_may_ask_no_other_server(dashboards: Settings, browser: Browser) -> None:
    answer = httpx.get(superset.address(dashboards) + "/login/")
    policy = answer.headers["Content-Security-Policy"]
    sources = {source for rule in policy.split(";") for source in rule.split()[1:]}
    named = {each for each in sources if not each.startswith("'") and each not in OWN_SOURCES}
    assert named == set()
    assert not [name for name in answer.headers if name.startswith("access-control")]
    browser.open_dashboard(address(dashboards, DASHBOARDS[0]))
    assert browser.asked == {superset.address(dashboards)}


def test_failed_logins_are_limited_over_all_ways_to_log_in(dashboards: Settings) -> None:
    """Each attempt claims another address, because a header must not reset the count."""
    password, numbers = dashboards.secret("superset_admin_password"), count()
    # The stranger has an address of its own, so that the other tests can still log in.
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=superset.address(dashboards), transport=transport) as stranger:

        def status(secret: str, path: str) -> int:
            who = {"username": superset.ADMIN, "password": secret}
            origin = {"X-Forwarded-For": f"198.51.100.{next(numbers)}"}
            if path == "/login/":
                stranger.cookies.clear()
                token = CSRF.search(stranger.get(path).text)
                assert token
                form = who | {"csrf_token": token[1]}
                return stranger.post(path, data=form, headers=origin).status_code
            asked = who | {"provider": "db"}
            return stranger.post(path, json=asked, headers=origin).status_code

        form, api = "/login/", "/api/v1/security/login"
        assert [status(password, form), status(password, api)] == [302, 200]
        assert [status("wrong", form) for _ in range(5)] == [302] * 5
        assert [status("wrong", api) for _ in range(5)] == [401] * 5
        assert [status(password, path) for path in (form, api)] == [429, 429]
        assert stranger.get(form).status_code == 200
    login = {"username": superset.ADMIN, "password": password, "provider": "db"}
    other = httpx.post(superset.address(dashboards) + api, json=login)
    assert other.status_code == 200, "another address is not limited"


def test_no_process_of_superset_has_the_admins_password(dashboards: Settings) -> None:
    server = psutil.Process(processes.pid_of(dashboards, "superset"))
    family = [server, *server.children(recursive=True)]
    environments = [value for each in family for value in each.environ().values()]
    assert dashboards.secret("superset_secret_key") in environments, "environments can be read"
    password = dashboards.secret("superset_admin_password")
    assert not [value for value in environments if password in value]
    assert not [argument for each in family for argument in each.cmdline() if password in argument]


def address(dashboards: Settings, dashboard: dict[str, Any]) -> str:
    return f"{superset.address(dashboards)}/superset/dashboard/{dashboard['slug']}/"


def time_filter(dashboard: dict[str, Any]) -> dict[str, Any]:
    filters = dashboard["metadata"]["native_filter_configuration"]
    (found,) = [each for each in filters if each["filterType"] == "filter_time"]
    return dict(found)


def seen(browser: Browser, url: str, screenshot: str) -> list[Chart]:
    """Returns the dashboard's charts and saves a screenshot, even if a chart did not load."""
    try:
        return browser.open_dashboard(url)
    finally:
        browser.screenshot(SCREENSHOTS / screenshot)
