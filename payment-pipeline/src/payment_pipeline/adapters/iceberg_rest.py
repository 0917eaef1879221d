"""How a client logs in to the Iceberg REST catalog: as which principal, and with whose S3 key."""

from typing import Final

from payment_pipeline.catalog_settings import CatalogRole, principal_of, secret_of
from payment_pipeline.settings import MissingSecretError, Settings

DELEGATION_HEADER: Final = "X-Iceberg-Access-Delegation"
"""With this header a client asks the catalog for keys. Polaris refuses it if it can't give any."""
VENDED: Final = "vended-credentials"


def credential(settings: Settings, role: CatalogRole) -> str:
    """The `client-id:client-secret` of a client.

    In a catalog without principals, such as SeaweedFS's, every client has the same: the setting
    `catalog_credential`, or else the S3 key.

    Raises:
        MissingSecretError: it is neither in the environment nor in its file.
    """
    if settings.catalog_principals:
        return f"{principal_of(role)}:{settings.secret(secret_of(role))}"
    try:
        return settings.secret("catalog_credential")
    except MissingSecretError:
        return f"{settings.secret('s3_access_key')}:{settings.secret('s3_secret_key')}"


def delegation(settings: Settings) -> str:
    """The value of `DELEGATION_HEADER`: empty if clients use the S3 key of the settings."""
    return VENDED if settings.catalog_vended_credentials else ""
