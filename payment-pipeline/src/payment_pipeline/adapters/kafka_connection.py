"""How does a connection to Kafka that breaks under the client's hands stay a broken connection?

uvloop answers a write to a transport that has just been closed with a RuntimeError; asyncio's own
loop lets it pass. aiokafka expects an OSError alone: the RuntimeError ends the task that keeps the
cluster's metadata, silently, and whoever waits for metadata then waits for ever
(aio-libs/aiokafka#1038; about one death of the broker in thirty left a stage hanging).
"""

from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """Aiokafka's connection, for which a write that comes too late is a broken connection."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: ANN401
        """As aiokafka's.

        Raises:
            KafkaConnectionError: the connection is closed, whichever event loop says so.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as closed:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"{self.host}:{self.port} is closed") from closed


def install() -> None:
    """Have every client of this process made with such connections."""
    conn.AIOKafkaConnection = Connection
