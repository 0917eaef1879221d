"""Where are the lake's tables, and how does one come into being or follow its contract?"""

from typing import Final

import requests
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, RESTError
from pyiceberg.table import Table, TableProperties

from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

from .lake_tables import LakeTable
from .schema import evolution, iceberg_schema, partition_spec

METADATA_KEPT: Final = {
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "20",
}
"""Each commit writes a file of the table's whole metadata, with every snapshot that it has."""
PROPERTIES: Final = METADATA_KEPT | {
    # With PyIceberg's own retry on, a slow writer and its successor both append the same batch.
    TableProperties.COMMIT_NUM_RETRIES: "0",
    TableProperties.PARQUET_COMPRESSION: "zstd",
}


def open_catalog(settings: Settings) -> Catalog:
    """The settings' Iceberg REST catalog: SeaweedFS's, Polaris or another.

    Raises:
        UserError: it doesn't answer.
        MissingSecretError: a credential is neither in the environment nor in its file.
    """
    try:
        return RestCatalog("lakehouse", **_properties(settings))
    except (requests.RequestException, RESTError) as refusal:
        raise UserError(
            f"No Iceberg catalog at {settings.catalog} ({type(refusal).__name__}): start it with "
            "`payments up --with lakehouse`, or set PAYMENTS_CATALOG_URI."
        ) from None


def find_table(catalog: Catalog, table: LakeTable) -> Table | None:
    """The lake's table as it is; None before its first load."""
    try:
        return catalog.load_table(table.identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None


def open_table(catalog: Catalog, table: LakeTable) -> Table:
    """The lake's table, made if need be, with the contract's columns.

    Catalogs differ in what becomes of a table that two make at once: the caller sees to it that
    there is no other (`Bronze.alone`).

    Raises:
        UserError: the contract has changed in a way that the table can't follow.
    """
    catalog.create_namespace_if_not_exists(table.identifier[0])
    schema = iceberg_schema(table)
    lake = catalog.create_table_if_not_exists(
        table.identifier,
        schema,
        partition_spec=partition_spec(schema),
        properties=PROPERTIES,
    )
    if changes := evolution(lake.schema(), table):
        with lake.update_schema() as update:
            changes.apply(update)
    return lake


def _properties(settings: Settings) -> dict[str, str]:
    access_key, secret_key = settings.secret("s3_access_key"), settings.secret("s3_secret_key")
    properties = {
        "uri": settings.catalog,
        "warehouse": settings.catalog_warehouse,
        "s3.endpoint": settings.s3,
        "s3.access-key-id": access_key,
        "s3.secret-access-key": secret_key,
        "s3.region": settings.s3_region,
    }
    if settings.catalog_auth == "sigv4":
        return properties | {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": settings.catalog_signing_name,
            "rest.signing-region": settings.s3_region,
            # What signs is not S3's client, and is not told of its keys.
            "client.access-key-id": access_key,
            "client.secret-access-key": secret_key,
        }
    given = settings.catalog_credential
    return properties | {
        "credential": given.get_secret_value() if given else f"{access_key}:{secret_key}",
        "oauth2-server-uri": f"{settings.catalog}/v1/oauth/tokens",
        "scope": settings.catalog_oauth_scope,
    }
