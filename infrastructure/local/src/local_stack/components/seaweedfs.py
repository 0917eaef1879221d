"""SeaweedFS: S3 and the Iceberg REST catalog in one process, and their readiness."""

import json
import shutil
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp

from local_stack.component import LAKEHOUSE, Component, program
from local_stack.files import var, write_private
from local_stack.http import TIMEOUT
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

PORTS: Final = {
    "s3.port": "s3_port",
    "s3.port.grpc": "seaweedfs_s3_grpc_port",
    "s3.port.iceberg": "catalog_port",
    "master.port": "seaweedfs_master_port",
    "master.port.grpc": "seaweedfs_master_grpc_port",
    "volume.port": "seaweedfs_volume_port",
    "volume.port.grpc": "seaweedfs_volume_grpc_port",
    "filer.port": "seaweedfs_filer_port",
    "filer.port.grpc": "seaweedfs_filer_grpc_port",
    "admin.port": "seaweedfs_admin_port",
    "admin.port.grpc": "seaweedfs_admin_grpc_port",
}
"""Its options for ports and our settings: one left out would be taken by itself, and unchecked."""


def binary() -> Path:
    """The `weed` program of this environment.

    Raises:
        UserError: the environment lacks it.
    """
    found = shutil.which("weed", path=str(Path(sys.executable).parent))
    if not found:
        raise UserError("No weed program (SeaweedFS) in this environment: run `make setup`.")
    return Path(found)


def data_dir(settings: Settings) -> Path:
    """Its volumes and their index."""
    return var(settings) / "seaweedfs"


def keys_path(settings: Settings) -> Path:
    """The generated file of who may do what; it holds the secret key."""
    return settings.secrets_dir / "seaweedfs.s3.json"


def bucket(settings: Settings) -> str:
    """The table bucket's name: a warehouse is its URL."""
    return urlsplit(settings.catalog_warehouse).netloc or "lakehouse"


def command(settings: Settings) -> list[str]:
    """One process on loopback, every port of it a setting, and no report sent to its makers."""
    ports = [f"-{option}={getattr(settings, name)}" for option, name in PORTS.items()]
    return [
        str(binary()), "-logtostderr", "mini",
        f"-dir={data_dir(settings)}",
        f"-ip={settings.host}",
        f"-ip.bind={settings.host}",
        *ports,
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        f"-s3.config={keys_path(settings)}",
        f"-tableBucket={bucket(settings)}",
    ]  # fmt: skip


def prepare(settings: Settings) -> None:
    """Write who may do what: the pipeline's own key may do everything, nobody else anything."""
    data_dir(settings).mkdir(exist_ok=True)
    # It remembers the last start's options, and would prefer them to none.
    (data_dir(settings) / "mini.options").unlink(missing_ok=True)
    key = {
        "accessKey": settings.secret("s3_access_key"),
        "secretKey": settings.secret("s3_secret_key"),
    }
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [{"name": "payments", "credentials": [key], "actions": actions}]
    write_private(keys_path(settings), json.dumps({"identities": identities}))


async def ready(settings: Settings) -> bool:
    """Whether the catalog knows our key and has the warehouse, and S3 answers beside it."""
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            token = await _token(settings, session)
            named = quote(bucket(settings), safe="")
            async with session.get(
                f"{settings.catalog}/v1/{named}/namespaces",
                headers={"Authorization": f"Bearer {token}"},
            ) as namespaces:
                namespaces.raise_for_status()
            # Refused without a signature, which is an answer too.
            async with session.get(f"{settings.s3}/") as s3:
                return s3.status < 500
    except (aiohttp.ClientError, TimeoutError, KeyError):
        return False


async def _token(settings: Settings, session: aiohttp.ClientSession) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.secret("s3_access_key"),
        "client_secret": settings.secret("s3_secret_key"),
        "scope": settings.catalog_oauth_scope,
    }
    async with session.post(f"{settings.catalog}/v1/oauth/tokens", data=form) as answer:
        answer.raise_for_status()
        return str((await answer.json())["access_token"])


COMPONENT: Final = Component(
    name="seaweedfs",
    order=80,
    command=command,
    ready=ready,
    address=lambda settings: settings.s3,
    ports=tuple(PORTS.values()),
    group=LAKEHOUSE,
    is_store=True,
    prepare=lambda settings, _work: prepare(settings),
    elsewhere="catalog_uri",
    generated_secrets=("s3_access_key", "s3_secret_key"),
    memory_mib=lambda _settings: 512,
    disk_mib=1280,
    checks=lambda _settings: (program("SeaweedFS", lambda: f"{binary()}"),),
)
