"""Trino: one node over the Iceberg catalog, its configuration and its readiness.

`python -m local_stack.components.trino` becomes the server. It looks for Java only then, so that a
machine without a new Java can run what needs none.
"""

import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from string import Template
from typing import Any, Final

import aiohttp

from local_stack import jars, java
from local_stack.component import LAKEHOUSE, MIB, Component, Download, program
from local_stack.files import CONFIGURATION, exclusive, var, write_private
from local_stack.http import TIMEOUT
from payment_pipeline.adapters.trino import CATALOG
from payment_pipeline.settings import Settings, load

TEMPLATES: Final = CONFIGURATION / "trino"
LOCK: Final = jars.LOCKS / "trino.jars.toml"
JAVA_MIN: Final = 24
PLUGINS: Final = ("resource-group-managers",)
"""What is kept of the server's own plugins, beside the Iceberg connector."""
UNPACKED_BYTES: Final = 1536 * MIB
"""Size of the unpacked server in the cache, and of its archive."""
ARCHIVE_BYTES: Final = 576 * MIB
"""Size of the archives in Maven's folder, and a little more."""
MAIN: Final = "io.trino.server.TrinoServer"
QUERY_SHARE_OF_HEAP: Final = 0.3
"""Trino itself keeps 30 % of the heap back; a third of the rest's two belongs to one query."""

JVM: Final = (
    "-XX:+UseG1GC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    # Trino measures its objects with an agent of its own, and reaches into the JDK for speed.
    "-XX:+EnableDynamicAgentLoading",
    "-Djdk.attach.allowAttachSelf=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


def home(settings: Settings) -> Path:
    """Where Trino is unpacked, once for all stacks; the lock's version is in the name."""
    version = jars.locked(LOCK)[0].version
    return settings.cache.expanduser() / f"trino-{version}"


def etc(settings: Settings) -> Path:
    """The generated configuration, in the folder it runs in: Trino looks for some of it there."""
    return var(settings) / "trino/etc"


def command(_settings: Settings) -> list[str]:
    """This module, which becomes the server."""
    return [sys.executable, "-m", "local_stack.components.trino"]


def prepare(settings: Settings, on_bytes: jars.OnBytes) -> None:
    """Fetch and unpack Trino unless it is there, and write its configuration.

    Raises:
        UserError: it can't be fetched, or is not what is locked; or there is no Java for it.
    """
    java.find(JAVA_MIN)
    _install(settings, on_bytes)
    write_config(settings)


def _install(settings: Settings, on_bytes: jars.OnBytes) -> None:
    target = home(settings)
    with exclusive(target.with_suffix(".lock")):
        if target.exists():
            return
        server, plugin = jars.fetch(on_bytes, LOCK)
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with tarfile.open(server) as packed:
            # A parameter of extractall that Pythons before 3.11.4 don't know.
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            packed.extractall(unfinished)  # noqa: S202 - its hash is locked
        [unpacked] = unfinished.iterdir()
        # Each plugin loaded costs the start some time.
        for unused in (unpacked / "plugin").iterdir():
            if unused.name not in PLUGINS:
                shutil.rmtree(unused)
        # Not by shutil: it leaves out the jars whose shortened names have dots in a row.
        with zipfile.ZipFile(plugin) as archive:
            archive.extractall(unpacked / "plugin")  # noqa: S202 - so is this one's
        unpacked.rename(target)
        unfinished.rmdir()


def write_config(settings: Settings) -> None:
    """Fill the templates in, readable by us alone: the catalog's properties hold its keys."""
    values = _values(settings)
    sources = {
        "config.properties": ("config.properties",),
        "access-control.properties": ("access-control.properties",),
        "log.properties": ("log.properties",),
        "resource-groups.properties": ("resource-groups.properties",),
        "resource-groups.json": ("resource-groups.json",),
        "rules.json": ("rules.json",),
        f"catalog/{CATALOG}.properties": (
            f"catalog/{CATALOG}.properties",
            f"catalog/{settings.catalog_auth}.properties",
        ),
    }
    (etc(settings) / "catalog").mkdir(parents=True, exist_ok=True)
    for name, parts in sources.items():
        text = "".join((TEMPLATES / part).read_text() for part in parts)
        write_private(etc(settings) / name, Template(text).substitute(values))


def _values(settings: Settings) -> dict[str, object]:
    access_key, secret_key = settings.secret("s3_access_key"), settings.secret("s3_secret_key")
    given = settings.catalog_credential
    return {
        "node_id": f"payments-{settings.trino_port}",
        "host": settings.host,
        "port": settings.trino_port,
        "etc": etc(settings),
        "plugins": home(settings) / "plugin",
        "query_memory_mib": int(settings.trino_heap_mib * QUERY_SHARE_OF_HEAP),
        "catalog": settings.catalog,
        "warehouse": settings.catalog_warehouse,
        "credential": given.get_secret_value() if given else f"{access_key}:{secret_key}",
        "scope": settings.catalog_oauth_scope,
        "signing_name": settings.catalog_signing_name,
        "s3": settings.s3,
        "region": settings.s3_region,
        "access_key": access_key,
        "secret_key": secret_key,
        "user": settings.trino_user,
        "reader": settings.trino_reader,
    }


async def ready(settings: Settings) -> bool:
    """Whether a query of the lakehouse's catalog is answered."""
    try:
        # Queries that it refuses while it starts would slow the start down.
        if await _starting(settings):
            return False
        return await _answered(settings, f"SHOW SCHEMAS FROM {CATALOG}")
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _starting(settings: Settings) -> bool:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(f"{settings.trino}/v1/info") as answer,
    ):
        answer.raise_for_status()
        return bool((await answer.json())["starting"])


async def _answered(settings: Settings, query: str) -> bool:
    """Ask as in Trino's "Client protocol": post the query, then follow `nextUri` to its end."""
    async with aiohttp.ClientSession(
        timeout=TIMEOUT, headers={"X-Trino-User": settings.trino_user}
    ) as session:
        async with session.post(f"{settings.trino}/v1/statement", data=query) as posted:
            posted.raise_for_status()
            page: dict[str, Any] = await posted.json()
        while following := page.get("nextUri"):
            async with session.get(following) as fetched:
                fetched.raise_for_status()
                page = await fetched.json()
        return "error" not in page


def main() -> None:
    """Become the server, in a folder of its own for what it writes beside its standard output."""
    settings = load()
    runtime = str(java.find(JAVA_MIN).executable)
    os.chdir(etc(settings).parent)
    os.execv(  # noqa: S606 - no shell is the point
        runtime,
        [
            runtime, "-cp", f"{home(settings)}/lib/*",
            f"-Xmx{settings.trino_heap_mib}m",
            *JVM,
            f"-Dconfig={etc(settings)}/config.properties",
            MAIN,
        ],
    )  # fmt: skip


def _downloads(settings: Settings) -> tuple[Download, ...]:
    """Trino is unpacked once for all stacks."""
    if home(settings).is_dir():
        return ()
    cache = Download("Cache", settings.cache.expanduser(), UNPACKED_BYTES, "PAYMENTS_CACHE")
    if not jars.missing(LOCK):
        return (cache,)
    return (cache, Download("Jars", jars.repository(), ARCHIVE_BYTES, "M2_REPO"))


COMPONENT: Final = Component(
    name="trino",
    order=90,
    command=command,
    ready=ready,
    address=lambda settings: settings.trino,
    ports=("trino_port",),
    needs=("seaweedfs",),
    group=LAKEHOUSE,
    is_store=True,
    prepare=prepare,
    elsewhere="trino_url",
    memory_mib=lambda settings: settings.trino_heap_mib,
    disk_mib=256,
    downloads=_downloads,
    checks=lambda _settings: (program("Trino", lambda: f"on Java {java.find(JAVA_MIN).version}"),),
    ready_wait_s=240,
)


if __name__ == "__main__":
    main()
