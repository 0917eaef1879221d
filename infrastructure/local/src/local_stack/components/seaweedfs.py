"""SeaweedFS: S3 and the Iceberg REST catalog, in one process.

Clients use two ports, S3 and the catalog, which ask for a key. The other ports are between the
parts of SeaweedFS. They know no users, so they demand a certificate that only SeaweedFS has.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import aiohttp

from local_stack import certificates
from local_stack.component import LAKEHOUSE, Component, Work, program
from local_stack.files import run_dir, var, write_private
from local_stack.http import TIMEOUT
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

NAME: Final = "seaweedfs"
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
"""The setting of each port option. SeaweedFS would choose an omitted port itself, unchecked."""


GRPC_PARTS: Final = (
    "master",
    "volume",
    "filer",
    "s3",
    "admin",
    "worker",
    "msg_broker",
    "mq",
    "client",
)
HTTP_PARTS: Final = ("master", "volume", "filer", "admin", "client")
"""The parts that have a section in `security.toml`. A server without one would admit everybody."""
NO_ORIGIN: Final = "https://none.invalid"
"""No web page has this origin (RFC 2606), and an empty list would allow every origin."""


def binary() -> Path:
    """The `weed` program of this environment.

    Raises:
        UserError: this environment has none.
    """
    found = shutil.which("weed", path=str(Path(sys.executable).parent))
    if not found:
        raise UserError("No weed program (SeaweedFS) in this environment: run `make setup`.")
    return Path(found)


def data_dir(settings: Settings) -> Path:
    """The folder of its volumes and their index."""
    return var(settings) / "seaweedfs"


def keys_path(settings: Settings) -> Path:
    """The generated file of the users and their rights. It holds the secret key."""
    return settings.secrets_dir / "seaweedfs.s3.json"


def config_dir(settings: Settings) -> Path:
    """The folder of the generated `security.toml`."""
    return run_dir(settings) / "seaweedfs"


def bucket(settings: Settings) -> str:
    """The name of the table bucket. The warehouse is its URL."""
    return urlsplit(settings.catalog_warehouse).netloc or "lakehouse"


def command(settings: Settings) -> list[str]:
    """The command line: loopback only, each port from a setting, no web page, no telemetry."""
    ports = [f"-{option}={getattr(settings, name)}" for option, name in PORTS.items()]
    return [
        str(binary()), "-logtostderr", f"-config_dir={config_dir(settings)}", "mini",
        f"-dir={data_dir(settings)}",
        f"-ip={settings.host}",
        f"-ip.bind={settings.host}",
        *ports,
        "-s3.port.lance=0",
        f"-s3.allowedOrigins={NO_ORIGIN}",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        f"-s3.config={keys_path(settings)}",
        f"-tableBucket={bucket(settings)}",
    ]  # fmt: skip


def prepare(settings: Settings, _work: Work) -> None:
    """Write the users and who may use which port.

    The pipeline's key has all rights, and there is no other user.
    """
    data_dir(settings).mkdir(exist_ok=True)
    # SeaweedFS keeps the options of its last start, and would use them for omitted ones.
    (data_dir(settings) / "mini.options").unlink(missing_ok=True)
    key = {
        "accessKey": settings.secret("s3_access_key"),
        "secretKey": settings.secret("s3_secret_key"),
    }
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [{"name": "payments", "credentials": [key], "actions": actions}]
    write_private(keys_path(settings), json.dumps({"identities": identities}))
    write_private(config_dir(settings) / "security.toml", security(settings))


def security(settings: Settings) -> str:
    """`security.toml`: each part shows and demands a certificate of SeaweedFS's own authority."""
    files = certificates.ensure(settings, NAME)
    authority, own = json.dumps(str(files.authority)), json.dumps(str(files.server))
    shows = f"cert = {own}\nkey = {own}\n"
    sections = {
        "cors.allowed_origins": f'values = "{NO_ORIGIN}"\n',
        "grpc": f"ca = {authority}\n",
        **{f"grpc.{part}": shows for part in GRPC_PARTS},
        **{f"https.{part}": f"{shows}ca = {authority}\n" for part in HTTP_PARTS},
    }
    sections["https.client"] += "enabled = true\n"
    return "\n".join(f"[{name}]\n{values}" for name, values in sections.items())


async def ready(settings: Settings) -> bool:
    """Whether the catalog accepts our key and has the warehouse, S3 answers, and volumes are there.

    S3 answers before the volumes have joined. Until then it can't read an object.
    """
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            token = await _token(settings, session)
            named = quote(bucket(settings), safe="")
            async with session.get(
                f"{settings.catalog}/v1/{named}/namespaces",
                headers={"Authorization": f"Bearer {token}"},
            ) as namespaces:
                namespaces.raise_for_status()
            # A refusal for the missing signature is an answer too.
            async with session.get(f"{settings.s3}/") as s3:
                return s3.status < 500 and await _has_volumes(settings, session)
    except (aiohttp.ClientError, TimeoutError, KeyError):
        return False


async def _has_volumes(settings: Settings, session: aiohttp.ClientSession) -> bool:
    """Whether the server of the volumes has joined: then there is room for some."""
    address = f"https://{settings.host}:{settings.seaweedfs_master_port}/dir/status"
    async with session.get(address, ssl=certificates.own_client(settings, NAME)) as answer:
        answer.raise_for_status()
        return int((await answer.json())["Topology"]["Max"]) > 0


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
    name=NAME,
    order=80,
    command=command,
    ready=ready,
    address=lambda settings: settings.s3,
    ports=tuple(PORTS.values()),
    prepare=prepare,
    elsewhere=("catalog_uri",),
    group=LAKEHOUSE,
    generated_secrets=("s3_access_key", "s3_secret_key"),
    memory_mib=512,
    disk_mib=1280,
    checks=lambda _settings: [program("SeaweedFS", lambda: f"{binary()}")],
)
