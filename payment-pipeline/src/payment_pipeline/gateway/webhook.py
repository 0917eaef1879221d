"""The route `POST /webhooks/{provider}`: verifies a webhook, writes it to Kafka and answers.

It is plain ASGI. A FastAPI route alone costs as much as verifying, reading and producing together
(`docs/decisions/0001-gateway-server.md`). The cheapest checks come first: the headers are checked
before the body is read, and the signature before the body is parsed.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from typing import Final

import structlog
from prometheus_client import Counter
from starlette.types import Message, Receive, Scope, Send

from payment_pipeline.domain import headers as names
from payment_pipeline.domain import topics
from payment_pipeline.domain.headers import Headers
from payment_pipeline.providers import (
    Envelope,
    Provider,
    Refusal,
    Unparseable,
    Unsupported,
    event_headers,
    source,
)
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import trace_id, traces
from payment_pipeline.telemetry.silent_tracer import Attributes, Span

from . import answers, gateway_metrics
from .answers import Answer
from .body_room import Arriving, BodyRoom
from .live_secrets import LiveSecrets
from .publisher import DeadlineError, NoBrokerError, OverloadedError, Publisher

PREFIX: Final = "/webhooks/"
UNKNOWN: Final = "unknown"
"""The metrics' label of unknown providers. A text from outside never becomes a label."""
VALUES_MAX: Final = 100_000
"""The maximum number of commas, brackets and braces of a body that is parsed.

A megabyte of `[[],[],…]` becomes 400,000 Python objects. Parsing it stops every other request for
0.1 s. An event of Stripe has one such character in about 25 bytes.
"""

log = structlog.get_logger()


class _Endpoint:
    """Values of a provider that are the same for all requests, computed once."""

    def __init__(self, provider: Provider, secrets: LiveSecrets) -> None:
        self.provider = provider
        self.secrets = secrets
        self.signature_header = provider.signature_header.encode()
        path = source(provider.name)
        self.source = path.encode()
        self.span = f"POST {path}"
        self.topics = {each: topics.raw(provider.name, each) for each in provider.resources}


class Webhooks:
    """The ASGI application under `/webhooks/`."""

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, Provider],
        secrets: Mapping[str, LiveSecrets],
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._endpoints = {name: _Endpoint(providers[name], secrets[name]) for name in secrets}
        self._unavailable = answers.unavailable(settings.retry_after_s)
        self._room = BodyRoom(settings.gateway_bytes_max)
        self._counts: dict[tuple[str, str], Counter] = {
            (name, answer.code): gateway_metrics.REQUESTS.labels(name, answer.status, answer.code)
            for name in (*self._endpoints, UNKNOWN)
            for answer in answers.all_answers()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        began = perf_counter()
        endpoint = self._endpoints.get(scope["path"][len(PREFIX) :])
        if endpoint is None:
            name, answer = UNKNOWN, answers.UNKNOWN_PROVIDER
        else:
            name = endpoint.provider.name
            try:
                answer = await self._receive(endpoint, scope, receive, began)
            except Exception:
                log.exception("defect", provider=name)
                answer = answers.DEFECT
        self._counts[name, answer.code].inc()
        await send(answer.start)
        await send(answer.body)
        gateway_metrics.DURATION_S.observe(perf_counter() - began)

    async def _receive(
        self, endpoint: _Endpoint, scope: Scope, receive: Receive, began: float
    ) -> Answer:
        """The main path. A step that fails returns its answer."""
        headers = dict(scope["headers"])
        refused = self._refuse_by_head(endpoint, scope, headers)
        if refused is not None:
            return refused
        body = await self._body(receive)
        if isinstance(body, Answer):
            return body
        now = datetime.now(UTC)
        signature = headers.get(endpoint.signature_header)
        verdict = endpoint.provider.verify(
            body,
            None if signature is None else signature.decode("latin-1"),
            endpoint.secrets.secrets,
            now.timestamp(),
            self._settings.signature_tolerance_s,
        )
        if isinstance(verdict, Refusal):
            return answers.REFUSED[verdict]
        endpoint.secrets.used[verdict.secret_index].set(now.timestamp())
        given = headers.get(b"traceparent", b"").decode("latin-1")
        # The span starts after the signature check, so an unsigned request makes no span.
        with traces.tracer().serve(endpoint.span, given, began) as span:
            receipt = {
                names.TRACEPARENT: span.traceparent.encode(),
                names.BODY_SHA256: sha256(body).hexdigest().encode(),
                names.RECEIVED_AT: now.isoformat(timespec="microseconds").encode(),
                names.VERDICT: endpoint.secrets.verdicts[verdict.secret_index],
            }
            try:
                return await self._keep(endpoint, body, receipt, span)
            except Exception:
                log.exception(
                    "defect", provider=endpoint.provider.name, trace_id=trace_id(span.traceparent)
                )
                span.set_attributes({"payments.answer": answers.DEFECT.code}, failed=True)
                return answers.DEFECT

    def _refuse_by_head(
        self, endpoint: _Endpoint, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> Answer | None:
        if scope["method"] != "POST":
            return answers.METHOD_NOT_ALLOWED
        media_type = headers.get(b"content-type", b"").partition(b";")[0]
        if media_type.strip().lower() != b"application/json":
            return answers.NOT_JSON
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return answers.ENCODED
        signature = headers.get(endpoint.signature_header, b"")
        if len(signature) > self._settings.signature_header_bytes_max or (
            len(headers) != len(scope["headers"])
            and sum(name == endpoint.signature_header for name, _ in scope["headers"]) > 1
        ):
            return answers.REFUSED[Refusal.MALFORMED]
        if int(headers.get(b"content-length", 0)) > self._settings.body_bytes_max:
            return answers.BODY_TOO_LARGE
        if not self._publisher.has_room():
            return self._unavailable.overloaded
        return None

    async def _keep(
        self, endpoint: _Endpoint, body: bytes, receipt: Mapping[str, bytes], span: Span
    ) -> Answer:
        """Writes the body to its topic, and returns the answer when Kafka has it."""
        event = (
            Unparseable("too_many_values")
            if has_too_many_values(body)
            else endpoint.provider.read(body)
        )
        if isinstance(event, Envelope):
            topic, key = endpoint.topics[event.resource], event.key.encode()
            headers, answer = event_headers(endpoint.provider.name, event), answers.ACCEPTED
        else:
            topic, key = topics.DLQ_WEBHOOKS, None
            reason, answer = _dead_letter(event)
            headers = ((names.CE_SOURCE, endpoint.source), (names.REASON, reason.encode()))
            log.warning(
                "dead_letter",
                provider=endpoint.provider.name,
                reason=reason,
                body_sha256=receipt[names.BODY_SHA256].decode(),
                trace_id=trace_id(span.traceparent),
            )
        headers = (*headers, *receipt.items())
        answer = await self._publish(topic, key, body, headers) or answer
        if span.recording:
            span.set_attributes(_span_attributes(topic, event, answer), failed=answer.status >= 500)
        return answer

    async def _publish(
        self, topic: str, key: bytes | None, body: bytes, headers: Headers
    ) -> Answer | None:
        """Writes a record to Kafka. Returns the answer for a failure, or `None`."""
        try:
            await self._publisher.publish(topic, key, body, headers)
        except DeadlineError:
            return self._unavailable.deadline
        except OverloadedError:
            return self._unavailable.overloaded
        except NoBrokerError:
            return self._unavailable.no_broker
        gateway_metrics.BODY_BYTES.inc(len(body))
        return None

    async def _body(self, receive: Receive) -> bytes | Answer:
        """The whole raw body, or an answer if it exceeds a limit.

        `protocol` limits the time that the body may take.
        """
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return answers.BODY_TOO_LARGE if len(body) > self._settings.body_bytes_max else body
        with self._room.enter() as arriving:
            try:
                return await self._rest(message, receive, arriving)
            except asyncio.CancelledError:
                if arriving.absorb_cancellation():
                    return self._unavailable.overloaded
                raise

    async def _rest(self, message: Message, receive: Receive, arriving: Arriving) -> bytes | Answer:
        """A body that comes in several messages, of which the first has arrived."""
        while message["type"] == "http.request":
            self._room.take(arriving, message.get("body", b""))
            if arriving.evicted:
                return self._unavailable.overloaded
            if len(arriving.body) > self._settings.body_bytes_max:
                return answers.BODY_TOO_LARGE
            if not message.get("more_body"):
                return bytes(arriving.body)
            message = await receive()
        return answers.BODY_INCOMPLETE


def has_too_many_values(body: bytes) -> bool:
    """Whether parsing a signed body would stop other requests for too long.

    Characters within strings count too. A text of 100,000 commas is no event either.
    """
    return len(body) > VALUES_MAX and sum(map(body.count, (b",", b"[", b"{"))) > VALUES_MAX


def _dead_letter(event: Unparseable | Unsupported) -> tuple[str, Answer]:
    if isinstance(event, Unsupported):
        return f"unsupported_class:{event.event_class}", answers.UNSUPPORTED
    return event.reason, answers.UNPARSEABLE


def _span_attributes(
    topic: str, event: Envelope | Unparseable | Unsupported, answer: Answer
) -> Attributes:
    """The attributes of the receipt's span: OpenTelemetry's names, and the event's ids."""
    ids: Attributes = {}
    if isinstance(event, Envelope):
        ids = {
            "payments.event_id": event.event_id,
            "payments.event_type": event.event_type,
        }
    return {
        "http.request.method": "POST",
        "http.response.status_code": answer.status,
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "payments.answer": answer.code,
        **ids,
    }
