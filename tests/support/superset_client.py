"""Asks a Superset on this machine, as its administrator, what it shows: a program for a test.

Prints JSON: the slugs of the dashboards, and the figure of a chart. Arguments: the file with the
administrator's password, and the name of a chart that shows one metric.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx

API: Final = "http://127.0.0.1:8088/api/v1"
HEALTH: Final = "http://127.0.0.1:8088/health"
QUERY_S_MAX: Final = 120
START_S_MAX: Final = 180


def main(password: Path, chart: str) -> None:
    """Print what Superset shows."""
    _wait_until_ready()
    with httpx.Client(base_url=API, timeout=QUERY_S_MAX) as client:
        login = {
            "username": "admin",
            "password": password.read_text().strip(),
            "provider": "db",
            "refresh": False,
        }
        token = _result(client.post("/security/login", json=login))["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        dashboards = _result(client.get("/dashboard/"))["result"]
        charts = _result(client.get("/chart/", params={"q": "(page_size:100)"}))["result"]
        (shown,) = [each for each in charts if each["slice_name"] == chart]
        metric = json.loads(shown["params"])["metric"]
        asked = {
            "datasource": {"id": shown["datasource_id"], "type": "table"},
            "force": True,
            "queries": [{"columns": [], "metrics": [metric], "row_limit": 1}],
        }
        (answer,) = _result(client.post("/chart/data", json=asked))["result"]
        sys.stdout.write(
            json.dumps(
                {
                    "dashboards": [each["slug"] for each in dashboards],
                    "figure": answer["data"][0][metric],
                }
            )
        )


def _wait_until_ready() -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(HEALTH).is_success:
                return
        time.sleep(1)
    sys.exit(f"Superset was not ready after {START_S_MAX} s.")


def _result(answer: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    """The answer's JSON.

    Raises:
        SystemExit: Superset refused, with its reason.
    """
    if answer.is_error:
        sys.exit(f"{answer.request.url}: {answer.status_code} {answer.text[:500]}")
    return answer.json()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
