"""What does a person see who opens a dashboard? Asked of a real browser."""

import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias
from urllib.parse import quote

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import element_to_be_clickable
from selenium.webdriver.support.wait import WebDriverWait

WINDOW: Final = "1600,2200"
PAGE_WAIT_S: Final = 120
"""On two busy cores the first page of a fresh Superset takes half a minute."""
LOGIN_WAIT_S: Final = 30
"""On two busy cores a form that was sent once stayed for two minutes, as if it had not been."""
SETTLED_S: Final = 2
TEMPORAL: Final = 2
"""Superset's number of a column of dates or times, in an answer's `coltypes`."""

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
    """One chart as it came out."""

    name: str
    is_drawn: bool
    complaint: str
    """What it says instead of showing something."""
    answers: list[list[Row]]
    """The rows that each of its queries answered, without the columns of dates and times."""

    @property
    def has_figures(self) -> bool:
        """Whether each of its queries answered at least one number that is not nought."""
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
        """As a person does, on the login page; who is not let in tries again.

        Raises:
            TimeoutException: nobody was let in, however often.
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

    def open_dashboard(self, url: str) -> list[Chart]:
        """Every chart of a dashboard, once none of them loads any more.

        Raises:
            TimeoutError: some still do; the message names them.
        """
        self._messages()
        self._driver.get(url)
        seen = self._settled()
        answers = self._answers()
        return [
            Chart(each["name"], each["drawn"], each["complaint"], answers.get(each["id"], []))
            for each in seen
        ]

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
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
        raise TimeoutError(f"after {PAGE_WAIT_S} s these charts are not there: {waiting or 'all'}")

    def _answers(self) -> dict[int, list[list[Row]]]:
        """What the server answered each chart last."""
        asked: dict[str, int] = {}
        for message in self._messages():
            request = message["params"].get("request", {})
            if message["method"] == "Network.requestWillBeSent" and "/chart/data" in request["url"]:
                form = json.loads(request.get("postData", "{}")).get("form_data", {})
                if "slice_id" in form:
                    asked[message["params"]["requestId"]] = form["slice_id"]
        return {chart: self._answer(request) for request, chart in asked.items()}

    def _messages(self) -> list[dict[str, Any]]:
        """What the browser did on the network since this was asked last."""
        entries = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        return [json.loads(entry["message"])["message"] for entry in entries]

    def _answer(self, request: str) -> list[list[Row]]:
        body = self._driver.execute_cdp_cmd("Network.getResponseBody", {"requestId": request})
        return [_timeless(answer) for answer in json.loads(body["body"]).get("result", [])]


def in_time_range(url: str, name: str, time_range: str) -> str:
    """The dashboard's address with the filter of that id set, as Superset itself writes it."""
    mask = (
        f"(extraFormData:(time_range:'{time_range}'),filterState:(value:'{time_range}'),"
        f"id:{name},ownState:())"
    )
    return f"{url}?native_filters={quote(f'({name}:{mask})')}"


def chromium() -> tuple[str, str] | None:
    """The browser and its driver, where both are installed."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (binary, driver) if binary and driver else None


def _timeless(answer: dict[str, Any]) -> list[Row]:
    """An answer's rows; a moment is a number too, but no figure."""
    kinds = dict(zip(answer["colnames"], answer["coltypes"], strict=True))
    return [
        {name: value for name, value in row.items() if kinds.get(name) != TEMPORAL}
        for row in answer["data"]
    ]
