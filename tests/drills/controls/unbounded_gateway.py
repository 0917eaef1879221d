"""A gateway on plain uvicorn, without limits on time and size. Control of drill 6."""

from unittest.mock import patch

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from payment_pipeline import telemetry
from payment_pipeline.gateway import protocol
from payment_pipeline.gateway.__main__ import main
from payment_pipeline.settings import Settings


def unbounded(_settings: Settings) -> type[HttpToolsProtocol]:
    """Return the protocol of uvicorn itself."""
    return HttpToolsProtocol


if __name__ == "__main__":
    with patch.object(protocol, "bounded", unbounded):
        telemetry.run(main)
