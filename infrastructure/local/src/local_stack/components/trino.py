"""Trino: one node on the Iceberg catalog.

`python -m local_stack.components.trino` becomes the server. It looks for Java only then, so a
machine with an old Java can run the components that don't need a new one.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import ssl
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Final

import aiohttp

from local_stack import certificates, jars, java
from local_stack.component import LAKEHOUSE, Check, Component, Work, program
from local_stack.downloads import Download, JarLock
from local_stack.files import CONFIGURATION, exclusive, var, write_private
from local_stack.http import TIMEOUT
from local_stack.python_service import command_of
from payment_pipeline.adapters import iceberg_rest
from payment_pipeline.adapters.trino import CATALOG, MAINTENANCE_CATALOG, connection_without_check
from payment_pipeline.catalog_settings import CatalogRole
from payment_pipeline.settings import Settings, TrinoUser, load

NAME: Final = "trino"
TEMPLATES: Final = CONFIGURATION / "trino"
TEMPLATE_FILES: Final = (
    *("config.properties", "log.properties"),
    *("access-control.properties", "rules.json", "password-authenticator.properties"),
    *("resource-groups.properties", "resource-groups.json"),
)
ARCHIVES_MIB: Final = 576
"""The archives in Maven's folder, and a margin."""
UNPACKED_MIB: Final = 1536
"""Trino in the cache, while it is unpacked."""
JAVA_MIN: Final = 24
PLUGINS: Final = ("password-authenticators", "resource-group-managers")
"""The server's plugins that are kept, because each plugin slows the start. The Iceberg connector is
added to them."""
LAYOUT: Final = 2
"""The number of this selection of plugins. A stack of an older version may use its own folder."""
PASSWORD_ROUNDS: Final = 100_000
PASSWORD_SALT_BYTES: Final = 16
MAIN: Final = "io.trino.server.TrinoServer"
REQUEST_TIMEOUT_S: Final = 2
QUERY_SHARE_OF_HEAP: Final = 0.3
"""The share of the heap that one query may use. Trino keeps another 0.3 as headroom."""

JVM: Final = (
    "-XX:+UseG1GC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-OmitStackTraceInFastThrow",
    # Trino loads an agent that measures objects, and uses internals of the JDK for speed.
    "-XX:+EnableDynamicAgentLoading",
    "-Djdk.attach.allowAttachSelf=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


def is_kept(name: str) -> bool:
    """Whether a file of the archives is kept, by its name in them."""
    _, *folders = name.split("/")
    return folders[:1] != ["plugin"] or folders[1:2] in ([each] for each in PLUGINS)


ARCHIVES: Final = JarLock(jars.LOCKS / "trino.jars.toml", is_kept=is_kept)


def home(settings: Settings) -> Path:
    """Trino's folder: given, or the one for all stacks that Trino is unpacked into.

    The name of the latter has the version.
    """
    if settings.trino_home:
        return settings.trino_home
    version = jars.locked(ARCHIVES.path)[0].version
    return settings.cache.expanduser() / f"trino-{version}-{LAYOUT}"


def etc(settings: Settings) -> Path:
    """The generated configuration. Trino looks for some of it in the folder that it runs in."""
    return var(settings) / "trino/etc"


def prepare(settings: Settings, work: Work) -> None:
    """Fetch and unpack Trino unless it is there, and write its configuration.

    Raises:
        UserError: Trino can't be fetched, or its files are not the locked ones, or no Java is new
            enough.
    """
    if not settings.trino_home:
        java.find(JAVA_MIN)
        unpacked(settings, work)
    certificates.ensure(settings, NAME)
    write_config(settings)


def unpacked(settings: Settings, work: Work) -> Path:
    """Trino's folder, after Trino was fetched and unpacked into it if it was missing.

    Raises:
        UserError: Trino can't be fetched, or its files are not the locked ones.
    """
    target = home(settings)
    with exclusive(target.with_suffix(".lock")):
        if not target.exists():
            _unpack(target, work)
    return target


def _unpack(target: Path, work: Work) -> None:
    server, plugin = jars.fetch(ARCHIVES.path, work)
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tarfile.open(server) as packed:
        # The parameter `filter` of extractall is unknown to Python before 3.11.4.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(unfinished)  # noqa: S202 - its hash is locked
    [folder] = unfinished.iterdir()
    for unused in (folder / "plugin").iterdir():
        if unused.name not in PLUGINS:
            shutil.rmtree(unused)
    # shutil would leave out jars with two dots in a row in their names.
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(folder / "plugin")  # noqa: S202 - its hash is locked
    folder.rename(target)
    unfinished.rmdir()


def write_config(settings: Settings) -> None:
    """Fill in the templates, and write the users. Only we can read the files: they hold keys."""
    values = _values(settings)
    for name in TEMPLATE_FILES:
        write_private(etc(settings) / name, _filled_in((name,), values))
    shutil.rmtree(etc(settings) / "catalog", ignore_errors=True)
    (etc(settings) / "catalog").mkdir(parents=True)
    parts = ["lakehouse", settings.catalog_auth]
    if not settings.catalog_vended_credentials:
        parts.append("s3_key")
    for catalog, role in _catalogs(settings).items():
        text = _filled_in(
            [f"catalog/{part}.properties" for part in parts],
            {**values, "credential": iceberg_rest.credential(settings, role)},
        )
        write_private(etc(settings) / f"catalog/{catalog}.properties", text)
    write_private(etc(settings) / "users", _users(settings))
    write_private(etc(settings) / "java.options", "\n".join(_options(settings)) + "\n")


def _filled_in(parts: Iterable[str], values: Mapping[str, object]) -> str:
    text = "".join((TEMPLATES / part).read_text() for part in parts)
    return Template(text).substitute(values)


def _catalogs(settings: Settings) -> dict[str, CatalogRole]:
    """The catalogs of Trino, and the principal that Trino logs in as in each of them."""
    roles: dict[str, CatalogRole] = {CATALOG: "transformer"}
    if settings.catalog_principals:
        roles[MAINTENANCE_CATALOG] = "maintenance"
    return roles


def _users(settings: Settings) -> str:
    """The line of each user: the name, and the hashed password in Trino's PBKDF2 form."""
    names: dict[TrinoUser, str] = {"owner": settings.trino_user, "reader": settings.trino_reader}
    return "".join(
        f"{name}:{_hashed(settings.trino_password_of(user) or '')}\n"
        for user, name in names.items()
    )


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(PASSWORD_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, PASSWORD_ROUNDS)
    return f"{PASSWORD_ROUNDS}:{salt.hex()}:{digest.hex()}"


def _values(settings: Settings) -> dict[str, object]:
    keys: dict[str, object] = {}
    if not settings.catalog_vended_credentials:
        keys = {name: settings.secret(f"s3_{name}") for name in ("access_key", "secret_key")}
    return keys | {
        "node_id": f"payments-{settings.trino_port}",
        "keystore": certificates.paths(settings, NAME).server,
        "authority": certificates.paths(settings, NAME).authority,
        # Trino's nodes know each other by it. There is one node, which reads it at its start.
        "shared_secret": secrets.token_urlsafe(32),
        "host": settings.host,
        "bind_ip": _bind_ip(settings.host),
        "port": settings.trino_port,
        "etc": etc(settings),
        "plugins": home(settings) / "plugin",
        "query_memory_mib": int(settings.trino_heap_mib * QUERY_SHARE_OF_HEAP),
        "catalog": settings.catalog,
        "warehouse": settings.catalog_warehouse,
        "scope": settings.catalog_oauth_scope,
        "signing_name": settings.catalog_signing_name,
        "s3": settings.s3,
        "region": settings.s3_region,
        "vended": str(settings.catalog_vended_credentials).lower(),
        "user": settings.trino_user,
        "reader": settings.trino_reader,
    }


def _bind_ip(host: str) -> str:
    """The address to listen on. In a container the host is a name, and every address is meant."""
    try:
        return str(ip_address(host))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - only a container's network reaches it


async def ready(settings: Settings) -> bool:
    """Whether a query of the lakehouse's catalog is answered."""
    try:
        # Queries that Trino refuses while it starts would slow its start.
        if await _starting(settings):
            return False
    except (aiohttp.ClientError, TimeoutError):
        return False
    return await asyncio.to_thread(_lists_schemas, settings)


async def _starting(settings: Settings) -> bool:
    context = ssl.create_default_context(cafile=settings.trino_certified_by)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(f"{settings.trino}/v1/info", ssl=context) as answer,
    ):
        answer.raise_for_status()
        return bool((await answer.json())["starting"])


def _lists_schemas(settings: Settings) -> bool:
    # The client is in the extra `lakehouse`, and this module is loaded without it.
    from requests import RequestException
    from trino.exceptions import Error, HttpError

    try:
        with connection_without_check(
            settings, request_timeout_s=REQUEST_TIMEOUT_S, attempts_max=1
        ) as connection:
            return bool(connection.cursor().execute("SHOW SCHEMAS").fetchall())
    except (Error, HttpError, RequestException):
        return False


def downloads(settings: Settings) -> Iterable[Download]:
    """The archives and the unpacked server, until it is unpacked."""
    if home(settings).is_dir():
        return
    yield Download("Cache", settings.cache.expanduser(), UNPACKED_MIB, "PAYMENTS_CACHE")
    if jars.missing(ARCHIVES.path):
        yield jars.download(ARCHIVES_MIB)


def checks(_settings: Settings) -> Iterable[Check]:
    """A Java that is new enough."""
    yield program("Trino", lambda: f"on Java {java.find(JAVA_MIN).version}")


def links(settings: Settings) -> dict[str, str]:
    """The address of its web pages."""
    if settings.trino_url:
        return {"Trino": settings.trino}
    password = settings.secrets_dir / "trino_password"
    return {"Trino": f"{settings.trino}, as {settings.trino_user} with the password in {password}"}


def main() -> None:
    """Become the server, in the folder that it writes its files to."""
    settings = load()
    runtime = str(java.find(JAVA_MIN).executable)
    os.chdir(etc(settings).parent)
    os.execv(  # noqa: S606 - no shell is the point
        runtime,
        [
            runtime, "-cp", f"{home(settings)}/lib/*", f"@{etc(settings)}/java.options", MAIN,
        ],
    )  # fmt: skip


def _options(settings: Settings) -> list[str]:
    """Java's options, one a line. A container of Trino reads them too."""
    return [f"-Xmx{settings.trino_heap_mib}m", *JVM, f"-Dconfig={etc(settings)}/config.properties"]


COMPONENT: Final = Component(
    name=NAME,
    order=90,
    command=command_of("local_stack.components.trino"),
    ready=ready,
    address=lambda settings: settings.trino,
    ports=("trino_port",),
    needs=("seaweedfs",),
    prepare=prepare,
    elsewhere=("trino_url",),
    group=LAKEHOUSE,
    generated_secrets=("trino_password", "trino_reader_password"),
    jars=(ARCHIVES,),
    heap="trino_heap_mib",
    memory_mib=0,
    disk_mib=256,
    downloads=downloads,
    checks=checks,
    links=links,
    ready_wait_s=240,
)

if __name__ == "__main__":
    main()
