"""A real Polaris server for tests, with its relational store in PostgreSQL.

No package registry has the server. `TEST_POLARIS_HOME` names the folder of one: `quarkus-app` of a
build, or `server` of the project's binary distribution, with `quarkus-run.jar` in it.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import requests

from local_stack import java
from payment_pipeline.settings import Settings

HOME: Final = "TEST_POLARIS_HOME"
JAVA_MIN: Final = 21
READY_S_MAX: Final = 90.0
ROOT_SECRET: Final = "the-secret-of-the-root"
REALM: Final = "POLARIS"
BUCKET: Final = "warehouse"
"""A plain bucket, which SeaweedFS makes at the first write. Only its own catalog writes to a table
bucket."""


def lacking() -> str | None:
    """Why no Polaris can be started; None if one can."""
    home = os.environ.get(HOME)
    if not home:
        return f"{HOME} names no folder with quarkus-run.jar, and no package registry has Polaris."
    if not (Path(home) / "quarkus-run.jar").is_file():
        return f"{HOME} is {home}, which has no quarkus-run.jar."
    return None


@contextmanager
def running(settings: Settings, ports: tuple[int, int], folder: Path) -> Iterator[str]:
    """The URL of a Polaris that keeps its catalogs in the stack's PostgreSQL and S3.

    Args:
        settings: of a stack with PostgreSQL and SeaweedFS.
        ports: of the API and of its management interface, on loopback.
        folder: for the log.
    """
    with psycopg.connect(
        settings.dsn_with("postgres", settings.secret("postgres_admin_password"), "postgres"),
        autocommit=True,
    ) as owner:
        owner.execute("CREATE ROLE polaris LOGIN PASSWORD 'polaris-of-the-test'")
        owner.execute("CREATE DATABASE polaris OWNER polaris")
    environment = {
        "PATH": os.environ["PATH"],
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(ports[0]),
        "QUARKUS_MANAGEMENT_HOST": "127.0.0.1",
        "QUARKUS_MANAGEMENT_PORT": str(ports[1]),
        "QUARKUS_LOG_FILE_ENABLED": "false",
        "QUARKUS_DATASOURCE_JDBC_URL": f"jdbc:postgresql://{settings.postgres}/polaris",
        "QUARKUS_DATASOURCE_USERNAME": "polaris",
        "QUARKUS_DATASOURCE_PASSWORD": "polaris-of-the-test",
        "POLARIS_PERSISTENCE_TYPE": "relational-jdbc",
        "POLARIS_PERSISTENCE_AUTO_BOOTSTRAP_TYPES": "in-memory,relational-jdbc",
        "POLARIS_BOOTSTRAP_CREDENTIALS": f"{REALM},root,{ROOT_SECRET}",
        "AWS_ACCESS_KEY_ID": settings.secret("s3_access_key"),
        "AWS_SECRET_ACCESS_KEY": settings.secret("s3_secret_key"),
        "AWS_REGION": settings.s3_region,
    }
    server = Path(os.environ[HOME]) / "quarkus-run.jar"
    command = [str(java.find(JAVA_MIN).executable), "-Xmx400m", "-jar", str(server)]
    with (folder / "polaris.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{ports[0]}/api/catalog"
            _wait(process, url, folder / "polaris.log")
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until the root gets a token: the health check succeeds earlier."""
    form = {
        "grant_type": "client_credentials",
        "client_id": "root",
        "client_secret": ROOT_SECRET,
        "scope": "PRINCIPAL_ROLE:ALL",
    }
    deadline = time.monotonic() + READY_S_MAX
    while True:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            if requests.post(f"{url}/v1/oauth/tokens", data=form, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.2)
