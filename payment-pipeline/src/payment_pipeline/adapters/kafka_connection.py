"""The connection of all Kafka clients: two changes to that of aiokafka.

Each connection asks for the password when it is made. So a rotated password needs no restart.

A write to a closed connection counts as a broken connection. A write to a transport that was just
closed raises a RuntimeError on uvloop; asyncio's own loop ignores it. aiokafka expects only an
OSError. So the RuntimeError silently ends the task that refreshes the cluster's metadata, and every
caller that needs metadata waits for ever (aio-libs/aiokafka#1038). Without this fix about one kill
of the broker in thirty left a stage hanging.
"""

from collections.abc import Callable
from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """An aiokafka connection that treats a write after its close as a broken connection.

    The argument `sasl_plain_password` is a function that returns the password, or None.
    """

    def __init__(
        self,
        *address: Any,  # noqa: ANN401
        sasl_plain_password: Callable[[], str] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> None:
        password = sasl_plain_password() if sasl_plain_password else None
        super().__init__(*address, sasl_plain_password=password, **more)

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: ANN401
        """Send a request, as aiokafka's connection does.

        Raises:
            KafkaConnectionError: the connection is closed, on any event loop.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as closed:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"{self.host}:{self.port} is closed") from closed


def install() -> None:
    """Make all Kafka clients of this process use this connection."""
    conn.AIOKafkaConnection = Connection
