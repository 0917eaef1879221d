"""The Iceberg catalog: opens it, and creates or updates the lake's tables by the contract."""

from typing import Final

import requests
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, RESTError
from pyiceberg.table import Table, TableProperties

from payment_pipeline.adapters import iceberg_rest
from payment_pipeline.catalog_settings import CatalogRole
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, absolute

from .certified_stores import CATALOG_AUTHORITIES, FILE_IO, S3_AUTHORITIES, CertifiedCatalog
from .lake_tables import LakeTable
from .schema import evolution, iceberg_schema, partition_spec

METADATA_KEPT: Final = {
    TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "20",
}
"""Each commit writes a file with the table's whole metadata and all its snapshots."""
PROPERTIES: Final = METADATA_KEPT | {
    # With PyIceberg's own retries, a slow writer and its successor would append the same batch.
    TableProperties.COMMIT_NUM_RETRIES: "0",
    TableProperties.PARQUET_COMPRESSION: "zstd",
}


def open_catalog(settings: Settings, role: CatalogRole = "loader") -> Catalog:
    """Opens the Iceberg REST catalog of the settings: SeaweedFS's, Polaris or another one.

    Args:
        settings: name the catalog and hold the credentials.
        role: whose rights the caller needs. A catalog without principals gives everybody all.

    Raises:
        UserError: the catalog doesn't answer.
        MissingSecretError: a credential is neither in the environment nor in its file.
    """
    try:
        client = CertifiedCatalog if settings.catalog_authorities else RestCatalog
        return client("lakehouse", **_properties(settings, role), **_certified_by(settings))
    except (requests.RequestException, RESTError) as refusal:
        raise UserError(
            f"No Iceberg catalog answers at {settings.catalog} ({type(refusal).__name__}). "
            "Start it with `payments up --with lakehouse`, or set PAYMENTS_CATALOG_URI."
        ) from None


def find_table(catalog: Catalog, table: LakeTable) -> Table | None:
    """The Iceberg table, or None before its first load."""
    try:
        return catalog.load_table(table.identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None


def open_table(catalog: Catalog, table: LakeTable) -> Table:
    """The Iceberg table with the contract's columns; creates the table if it doesn't exist.

    Catalogs behave differently when two clients create the same table at the same time. The caller
    must prevent that with `Bronze.alone`.

    Raises:
        UserError: the contract has changed in a way that needs a rewrite of the table.
    """
    namespace = table.identifier[0]
    # The loader may not make a namespace in Polaris: `payments catalog apply` does.
    if (namespace,) not in catalog.list_namespaces():
        catalog.create_namespace_if_not_exists(namespace)
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


def _certified_by(settings: Settings) -> dict[str, str]:
    """The authorities of one's own, for the catalog's certificate and for the object store's."""
    properties = {}
    if settings.catalog_authorities:
        properties[CATALOG_AUTHORITIES] = str(absolute(settings.catalog_authorities))
    if settings.s3_authorities:
        properties["py-io-impl"] = FILE_IO
        properties[S3_AUTHORITIES] = str(absolute(settings.s3_authorities))
    return properties


def _properties(settings: Settings, role: CatalogRole) -> dict[str, str]:
    properties = {
        "uri": settings.catalog,
        "warehouse": settings.catalog_warehouse,
        "s3.endpoint": settings.s3,
        "s3.region": settings.s3_region,
    }
    if settings.catalog_principals:
        # Only Polaris needs this. Without the header's default, SeaweedFS's catalog answers with
        # its own address of the object store, which would replace the one of the settings.
        properties[f"header.{iceberg_rest.DELEGATION_HEADER}"] = iceberg_rest.delegation(settings)
    if settings.catalog_vended_credentials:
        return properties | _oauth2(settings, role)
    access_key, secret_key = settings.secret("s3_access_key"), settings.secret("s3_secret_key")
    properties |= {"s3.access-key-id": access_key, "s3.secret-access-key": secret_key}
    if settings.catalog_auth == "oauth2":
        return properties | _oauth2(settings, role)
    return properties | {
        "rest.sigv4-enabled": "true",
        "rest.signing-name": settings.catalog_signing_name,
        "rest.signing-region": settings.s3_region,
        # The client that signs requests is not the S3 client and needs the keys too.
        "client.access-key-id": access_key,
        "client.secret-access-key": secret_key,
    }


def _oauth2(settings: Settings, role: CatalogRole) -> dict[str, str]:
    return {
        "credential": iceberg_rest.credential(settings, role),
        "oauth2-server-uri": f"{settings.catalog}/v1/oauth/tokens",
        "scope": settings.catalog_oauth_scope,
    }
