"""The catalog and the object store, when an authority of one's own certifies them."""

from typing import Any, Final

from pyarrow import fs
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io import (
    S3_ACCESS_KEY_ID,
    S3_ENDPOINT,
    S3_REGION,
    S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
)
from pyiceberg.io.pyarrow import PyArrowFileIO
from requests import Session

CATALOG_AUTHORITIES: Final = "rest.authorities"
S3_AUTHORITIES: Final = "s3.authorities"
"""The properties with the paths of the authorities' certificates (PEM)."""


class CertifiedCatalog(RestCatalog):
    """PyIceberg's catalog, with the authorities of the property `CATALOG_AUTHORITIES`.

    PyIceberg's own property for them gives way to the variable REQUESTS_CA_BUNDLE.
    """

    def _config_headers(self, session: Session) -> None:
        """Called with each new session, before its first request."""
        super()._config_headers(session)
        merge, authorities = (
            session.merge_environment_settings,
            self.properties[CATALOG_AUTHORITIES],
        )

        def merged(*given: Any) -> Any:  # noqa: ANN401 - as requests has them
            return {**merge(*given), "verify": authorities}

        session.merge_environment_settings = merged  # type: ignore[assignment, method-assign]


class CertifiedFileIO(PyArrowFileIO):
    """PyIceberg's files, with the authorities of the property `S3_AUTHORITIES`.

    PyIceberg has no property for them. It finds this class by the name `FILE_IO`.
    """

    def _initialize_s3_fs(self, netloc: str | None) -> fs.FileSystem:
        del netloc
        given: dict[str, Any] = {
            "endpoint_override": S3_ENDPOINT,
            "access_key": S3_ACCESS_KEY_ID,
            "secret_key": S3_SECRET_ACCESS_KEY,
            "session_token": S3_SESSION_TOKEN,
            "region": S3_REGION,
            "tls_ca_file_path": S3_AUTHORITIES,
        }
        return fs.S3FileSystem(**{name: self.properties.get(each) for name, each in given.items()})


FILE_IO: Final = f"{CertifiedFileIO.__module__}.{CertifiedFileIO.__qualname__}"
