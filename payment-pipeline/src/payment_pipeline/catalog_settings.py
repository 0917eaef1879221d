"""The settings of the Iceberg REST catalog: its name, its storage, and who logs in as whom."""

from typing import Final, Literal, get_args

from pydantic import SecretStr
from pydantic_settings import BaseSettings

CatalogRole = Literal["loader", "transformer", "reader", "maintenance"]
"""The principals of a catalog with principals: `payment_operations/catalog_access.toml`."""
CATALOG_ROLES: Final[tuple[CatalogRole, ...]] = get_args(CatalogRole)


class CatalogSettings(BaseSettings):
    """The part of `settings.Settings` for the catalog, such as SeaweedFS's or Polaris."""

    # The warehouse: SeaweedFS's table bucket, or the name of a catalog of Polaris.
    catalog_warehouse: str = "s3://lakehouse"
    catalog_auth: Literal["oauth2", "sigv4"] = "oauth2"
    catalog_oauth_scope: str = "catalog"
    catalog_signing_name: str = "s3tables"
    # The catalog's `client-id:client-secret`, for all clients. Unset, it is the S3 key.
    catalog_credential: SecretStr | None = None

    # Polaris: each client logs in as a principal of its own, which `payments catalog apply` makes.
    catalog_principals: bool = False
    # Where the catalog stores its tables: `payments catalog apply` tells Polaris.
    catalog_location: str = "s3://lakehouse"
    # Whether the catalog gives each client keys for its tables, and the AWS role that it assumes
    # for them. Otherwise clients use the S3 key.
    catalog_vended_credentials: bool = False
    catalog_role_arn: str = ""
    # The principal that `payments catalog` logs in as, and the secrets of all principals.
    catalog_admin: str = "root"
    catalog_admin_secret: SecretStr | None = None
    catalog_loader_secret: SecretStr | None = None
    catalog_transformer_secret: SecretStr | None = None
    catalog_reader_secret: SecretStr | None = None
    catalog_maintenance_secret: SecretStr | None = None


def secret_of(role: CatalogRole) -> str:
    """The setting with the secret of a principal."""
    return f"catalog_{role}_secret"


def principal_of(role: CatalogRole) -> str:
    """The name of a principal, which is its client id too."""
    return f"payments_{role}"


PRINCIPALS_SECRETS: Final = ("catalog_admin_secret", *map(secret_of, CATALOG_ROLES))
"""The secrets of a catalog with principals, by their settings."""
