"""A real browser that opens dashboards and reads what their charts show."""

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias
from urllib.parse import quote, urlsplit

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

WINDOW: Final = "1600,2200"
PAGE_WAIT_S: Final = 120
"""On two busy cores the first page of a new Superset takes half a minute."""
LOGIN_WAIT_S: Final = 30
"""After this time the login form is sent again. On two busy cores a sent form had no effect for two
minutes."""
SETTLED_S: Final = 2
TEMPORAL: Final = 2
"""Superset's number for a column of dates or times, in `coltypes` of an answer."""

WITHOUT_SERVER: Final = ("blob", "data", "chrome", "about")
"""Schemes of addresses within the browser."""

Row: TypeAlias = dict[str, Any]

FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--force-device-scale-factor=1", f"--window-size={WINDOW}"),
)
SEEN: Final = """
return [...document.querySelectorAll('[data-test-chart-name]')].map(chart => ({
    id: Number(chart.getAttribute('data-test-chart-id')),
    name: chart.getAttribute('data-test-chart-name'),
    loading: chart.querySelectorAll('.loading').length > 0,
    drawn: Boolean(chart.querySelector('canvas, tbody tr, .header-line')),
    complaint: [...chart.querySelectorAll('[role=alert], .ant-alert, .ant-empty, [class*=empty]')]
        .map(each => each.innerText).join(' ').trim(),
}))
"""


class Chart(NamedTuple):
    """One chart as the browser shows it."""

    name: str
    is_drawn: bool
    complaint: str
    """The message that the chart shows instead of data."""
    answers: list[list[Row]]
    """The rows of each query of the chart, without the columns of dates and times."""
    moments: list[datetime]
    """The dates and times of all rows."""

    @property
    def has_figures(self) -> bool:
        """Whether each query of the chart returned at least one number that is not zero."""
        return bool(self.answers) and all(
            any(isinstance(value, int | float) and value for row in rows for value in row.values())
            for rows in self.answers
        )


class Browser:
    """A headless Chromium, logged in to one Superset at a time."""

    def __init__(self, binary: str, driver: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self._driver = webdriver.Chrome(options=options, service=Service(driver))
        self._sent: dict[str, str] = {}
        """The server of each request by the request's id, without requests that were blocked."""
        self.landed_at = ""
        """The address of the page that was shown after the login."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._driver.quit()

    def log_in(self, url: str, user: str, password: str) -> None:
        """Log in on the login page, and try again until the login succeeds.

        Raises:
            TimeoutException: no try succeeded within `PAGE_WAIT_S`.
        """
        deadline = time.monotonic() + PAGE_WAIT_S
        wait = WebDriverWait(self._driver, PAGE_WAIT_S)
        self._driver.get(f"{url}/login/")
        while "/login" in self._driver.current_url:
            wait.until(element_to_be_clickable((By.ID, "username"))).send_keys(user)
            self._driver.find_element(By.ID, "password").send_keys(password)
            self._driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
            try:
                let_in = WebDriverWait(self._driver, LOGIN_WAIT_S)
                let_in.until(lambda driver: "/login" not in driver.current_url)
            except TimeoutException:
                if time.monotonic() > deadline:
                    raise
                self._driver.get(f"{url}/login/")
        self.landed_at = self._driver.current_url

    @property
    def asked(self) -> set[str]:
        """Scheme, host and port of each server that the pages have asked."""
        return set(self._sent.values())

    def open_dashboard(self, url: str) -> list[Chart]:
        """Open a dashboard, wait until all charts have loaded, and return them.

        Raises:
            TimeoutError: some charts still load. The message names them.
        """
        self._messages()
        self._driver.get(url)
        seen = self._settled()
        answers = self._answers()
        return [
            Chart(
                each["name"],
                each["drawn"],
                each["complaint"],
                [_timeless(answer) for answer in answers.get(each["id"], [])],
                [at for answer in answers.get(each["id"], []) for at in _moments(answer)],
            )
            for each in seen
        ]

    def screenshot(self, path: Path) -> None:
        """Write the whole page to a PNG file."""
        path.parents[1].mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        self._driver.save_screenshot(str(path))

    def _settled(self) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PAGE_WAIT_S
        since, seen = time.monotonic(), list[dict[str, Any]]()
        while time.monotonic() < deadline:
            now: list[dict[str, Any]] = self._driver.execute_script(SEEN)
            done = now and all(
                not each["loading"] and (each["drawn"] or each["complaint"]) for each in now
            )
            if not done or now != seen:
                since, seen = time.monotonic(), now
            elif time.monotonic() - since > SETTLED_S:
                return seen
            time.sleep(0.2)
        waiting = [each["name"] for each in seen if each["loading"] or not each["drawn"]]
        raise TimeoutError(f"Charts still load after {PAGE_WAIT_S} s: {waiting or 'all'}.")

    def _answers(self) -> dict[int, list[dict[str, Any]]]:
        """Return the server's last answers by chart id."""
        asked: dict[str, int] = {}
        for message in self._messages():
            request = message["params"].get("request", {})
            if message["method"] == "Network.requestWillBeSent" and "/chart/data" in request["url"]:
                form = json.loads(request.get("postData", "{}")).get("form_data", {})
                if "slice_id" in form:
                    asked[message["params"]["requestId"]] = form["slice_id"]
        return {chart: self._answer(request) for request, chart in asked.items()}

    def _messages(self) -> list[dict[str, Any]]:
        """Return the browser's network messages since the last call, and note the servers."""
        entries = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        for message in messages:
            params = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                where = urlsplit(params["request"]["url"])
                if where.scheme not in WITHOUT_SERVER:
                    self._sent[params["requestId"]] = f"{where.scheme}://{where.netloc}"
            elif message["method"] == "Network.loadingFailed" and "blockedReason" in params:
                self._sent.pop(params["requestId"], None)
        return messages

    def _answer(self, request: str) -> list[dict[str, Any]]:
        body = self._driver.execute_cdp_cmd("Network.getResponseBody", {"requestId": request})
        found: list[dict[str, Any]] = json.loads(body["body"]).get("result", [])
        return found


def in_time_range(url: str, name: str, time_range: str) -> str:
    """Return the dashboard's URL with one filter set, in the form that Superset writes."""
    mask = (
        f"(extraFormData:(time_range:'{time_range}'),filterState:(value:'{time_range}'),"
        f"id:{name},ownState:())"
    )
    return f"{url}?native_filters={quote(f'({name}:{mask})')}"


def chromium() -> tuple[str, str] | None:
    """Return the paths of the browser and its driver, or None if one is not installed."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (binary, driver) if binary and driver else None


def _timeless(answer: dict[str, Any]) -> list[Row]:
    """Return the rows of an answer without dates and times, which are numbers but no figures."""
    kinds = dict(zip(answer["colnames"], answer["coltypes"], strict=True))
    return [
        {name: value for name, value in row.items() if kinds.get(name) != TEMPORAL}
        for row in answer["data"]
    ]


def _moments(answer: dict[str, Any]) -> list[datetime]:
    """Return the dates and times of an answer, which Superset writes as milliseconds or as text."""
    kinds = dict(zip(answer["colnames"], answer["coltypes"], strict=True))
    values = [
        value
        for row in answer["data"]
        for name, value in row.items()
        if kinds.get(name) == TEMPORAL and value is not None
    ]
    return [
        datetime.fromisoformat(value[:19]).replace(tzinfo=UTC)
        if isinstance(value, str)
        else datetime.fromtimestamp(value / 1000, UTC)
        for value in values
    ]
