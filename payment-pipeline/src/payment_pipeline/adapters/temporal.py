"""How the pipeline talks to Temporal: a client, and the search attributes that it relies on."""

import atexit
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client, Interceptor
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.search_attributes import KEYWORDS
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import traces

CONNECT_TIMEOUT: Final = timedelta(seconds=5)
EXIT_PAUSE_S: Final = 0.1
"""The SDK's threads hand over their last answers in microseconds, unless the machine is busy."""


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """A client; a lazy one connects at its first call, and can't serve a worker.

    Raises:
        UserError: nothing answers at the address.
    """
    _exit_in_peace()
    try:
        return await Client.connect(
            settings.temporal,
            namespace=settings.temporal_namespace,
            lazy=lazy,
            connect_timeout=CONNECT_TIMEOUT,
            # Payloads are small or compressed already, and the server is near.
            grpc_compression=GrpcCompression.NONE,
            interceptors=_tracing(),
        )
    except RuntimeError as error:  # what the SDK raises for a failed connect
        raise UserError(
            f"Temporal does not answer at {settings.temporal}: start it with `payments up`, "
            "or set PAYMENTS_TEMPORAL_ADDRESS."
        ) from error


@contextmanager
def refusals(settings: Settings) -> Iterator[None]:
    """Around what is asked for a person: Temporal's refusal as a sentence.

    A client connects to a server whose namespace there isn't; only its first question tells.

    Raises:
        UserError: it refused, or answers no more.
    """
    try:
        yield
    except RPCError as refusal:
        raise UserError(
            f"Temporal at {settings.temporal} does not do that in its namespace "
            f"{settings.temporal_namespace} ({refusal.status.name}): see `payments status`, and "
            "PAYMENTS_TEMPORAL_NAMESPACE."
        ) from refusal


async def ensure_search_attributes(settings: Settings) -> tuple[str, ...]:
    """Register those search attributes that the namespace lacks; return their names.

    Raises:
        UserError: nothing answers at the address, the namespace isn't there, or an attribute has
            another type there.
    """
    client = await connect(settings)
    with refusals(settings):
        return await _ensure(client)


async def _ensure(client: Client) -> tuple[str, ...]:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    present = {**known.custom_attributes, **known.system_attributes}
    for name in KEYWORDS:
        if present.get(name, keyword) != keyword:
            raise UserError(f"Temporal's search attribute {name} exists and is not a Keyword.")
    missing = tuple(name for name in KEYWORDS if name not in present)
    if missing:
        await _add(client, missing)
    return missing


def _tracing() -> list[Interceptor]:
    """Spans of starts, workflows and activities: in the client, and so in its workers too."""
    tracer = traces.tracer().otel()
    if tracer is None:
        return []
    from temporalio.contrib.opentelemetry import (
        TracingInterceptor,
    )  # what it costs, who traces pays

    return [TracingInterceptor(tracer)]


@cache
def _exit_in_peace() -> None:
    """Let the SDK's threads finish before the interpreter does, or it aborts now and then.

    Measured without: 2 of 12 short commands ended with SIGABRT and "PyGILState_Release: thread
    state must be current when releasing" (sdk-python, issue 300).
    """
    atexit.register(time.sleep, EXIT_PAUSE_S)


async def _add(client: Client, names: tuple[str, ...]) -> None:
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(names, keyword)
            )
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # a second `migrate` was faster
            raise
