"""Temporal: the client, and the registration of the search attributes."""

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
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode, TLSConfig

from payment_pipeline.adapters import client_tls, temporal_payloads
from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.search_attributes import KEYWORDS
from payment_pipeline.settings import MissingSecretError, Settings
from payment_pipeline.telemetry import traces

CONNECT_TIMEOUT: Final = timedelta(seconds=5)
EXIT_PAUSE_S: Final = 0.1
"""Time for the SDK's threads to hand over their last answers: microseconds, unless the machine is
busy."""


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Connect a client. A lazy client connects at its first call and cannot be used by a worker.

    Raises:
        UserError: Temporal does not answer at the address, or a file of the settings can't be used.
    """
    _wait_for_threads_at_exit()
    try:
        return await Client.connect(
            settings.temporal,
            namespace=settings.temporal_namespace,
            lazy=lazy,
            tls=_tls(settings),
            api_key=_api_key(settings),
            data_converter=_converter(settings),
            connect_timeout=CONNECT_TIMEOUT,
            # Payloads are small or already compressed, and the server is near.
            grpc_compression=GrpcCompression.NONE,
            interceptors=_tracing(),
        )
    except RuntimeError as error:  # the SDK raises it if it cannot connect
        check = "Start it with `payments up`, or set PAYMENTS_TEMPORAL_ADDRESS."
        if settings.temporal_encrypted:
            check = "It is down, or refuses TLS. Check the settings PAYMENTS_TEMPORAL_*."
        raise UserError(f"Temporal does not answer at {settings.temporal}. {check}") from error


@contextmanager
def refusals(settings: Settings) -> Iterator[None]:
    """Turn an error of Temporal into one sentence, for commands.

    A client can connect when its namespace does not exist; only its first request then fails.

    Raises:
        UserError: Temporal refused a request, or stopped answering.
    """
    try:
        yield
    except RPCError as refusal:
        raise UserError(
            f"Temporal at {settings.temporal} refused a request in the namespace "
            f"{settings.temporal_namespace} ({refusal.status.name}). Check `payments status` and "
            "PAYMENTS_TEMPORAL_NAMESPACE."
        ) from refusal


async def ensure_search_attributes(settings: Settings) -> tuple[str, ...]:
    """Register the search attributes that the namespace lacks; return their names.

    Raises:
        UserError: Temporal does not answer, the namespace does not exist, or an attribute exists
            with another type.
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
            raise UserError(
                f"Temporal's search attribute {name} exists but is not a Keyword. Remove it with "
                f"`temporal operator search-attribute remove --name {name}`, then repeat."
            )
    missing = tuple(name for name in KEYWORDS if name not in present)
    if missing:
        await _add(client, missing)
    return missing


def _tls(settings: Settings) -> TLSConfig | bool:
    """Return the authorities and the client's certificate; false for a connection without TLS."""
    if not settings.temporal_encrypted:
        return False
    # The SDK would report a file that it can't use as a server that does not answer.
    client_tls.context(settings, "temporal")
    certificate = client_tls.read(settings, "temporal_certificate")
    return TLSConfig(
        server_root_ca_cert=client_tls.read(settings, "temporal_authorities"),
        client_cert=certificate,
        client_private_key=client_tls.read(settings, "temporal_key") or certificate,
    )


def _api_key(settings: Settings) -> str | None:
    """Return the API key, which is never sent without TLS."""
    try:
        return settings.secret("temporal_api_key") if settings.temporal_encrypted else None
    except MissingSecretError:
        return None


def _converter(settings: Settings) -> DataConverter:
    """Return the converter that encrypts payloads and errors, if there are keys."""
    codec = temporal_payloads.codec(settings)
    if codec is None:
        return DataConverter.default
    return DataConverter(
        payload_codec=codec, failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )


def _tracing() -> list[Interceptor]:
    """Return the interceptor that makes spans of workflows and activities, if tracing is on."""
    tracer = traces.tracer().otel()
    if tracer is None:
        return []
    # Imported only here: only processes that trace load OpenTelemetry.
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(tracer)]


@cache
def _wait_for_threads_at_exit() -> None:
    """Wait at exit until the SDK's threads have finished; otherwise the interpreter may abort.

    Without the wait 2 of 12 short commands ended with SIGABRT and "PyGILState_Release: thread state
    must be current when releasing" (sdk-python, issue 300).
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
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another `migrate` was faster
            raise
