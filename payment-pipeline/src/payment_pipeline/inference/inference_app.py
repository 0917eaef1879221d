"""The HTTP interface of the scoring service: scores, model cards, probes and metrics.

Scoring runs in a thread, so that the probes answer during a batch. There is one thread, because
Python and numpy hold one lock, and a second thread would slow down both. The number of waiting
batches is limited.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect
from threadpoolctl import threadpool_limits

from payment_pipeline.domain.failures import UserError
from payment_pipeline.domain.scoring import BATCH_MAX, ScoreRequest, ScoreResponse
from payment_pipeline.known_secrets import KnownSecrets
from payment_pipeline.rotating_secrets import RotatingSecrets
from payment_pipeline.settings import Settings
from payment_pipeline.telemetry import metrics_page, traces

from . import inference_metrics, problems, scoring_engine
from .model_card import Card

BODY_BYTES_MAX: Final = 8 * 1024 * 1024
"""The largest batch: eight times the size of a thousand events with every feature."""
READ_S_MAX: Final = 5.0
"""The time for a body to arrive, so that a slow sender does not block other batches."""
SPAN: Final = "POST /v1/score"
RELOAD_S: Final = 3.0
"""How often the service checks the store for new versions."""

log = structlog.get_logger()


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {problems.PROBLEM_JSON: {}}}


_COMPONENTS: Final = "#/components/schemas/{model}"
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _COMPONENTS.format(model="ScoreRequest")}}
        },
    }
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": ScoreResponse, "description": "One answer an event, in the request's order."},
    401: _problem("No token, or a wrong one."),
    408: _problem("The body did not arrive in time."),
    413: _problem(f"The body is over {BODY_BYTES_MAX} bytes."),
    422: _problem(f"Not JSON, or not a batch of 1 to {BATCH_MAX} events; says where."),
    500: _problem("A defect of ours; the batch was not scored."),
    503: _problem("Too many batches are under way; Retry-After says when to come back."),
}


class Inference(FastAPI):
    """FastAPI with the request schema of `/v1/score`, whose body the route reads itself."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the schemas of the request."""
        document = super().openapi()
        _, schemas = models_json_schema([(ScoreRequest, "validation")], ref_template=_COMPONENTS)
        document["components"]["schemas"] |= schemas["$defs"]
        return document


class Service:
    """The state that the routes share: the current engine and the number of open batches."""

    def __init__(self, settings: Settings, loaded: scoring_engine.Engine) -> None:
        self.settings = settings
        self._tokens = RotatingSecrets(settings, "inference_token")
        self.engine = loaded
        self.in_flight = 0
        self._thread = ThreadPoolExecutor(1, "score", initializer=threadpool_limits, initargs=(1,))
        _show(loaded)

    def admits(self, request: Request) -> bool:
        """Whether the request has a token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token in KnownSecrets(self._tokens()) and scheme.lower() == "bearer"

    async def score(self, request: Request) -> Response:
        """Answer one batch."""
        started = perf_counter()
        with traces.tracer().serve(SPAN, request.headers.get("traceparent"), started) as span:
            answer = await self._admit(request)
            if span.recording:
                status = {"http.response.status_code": answer.status_code}
                span.set_attributes(status, failed=answer.status_code >= 500)
        inference_metrics.REQUESTS.labels(answer.status_code).inc()
        inference_metrics.DURATION_S.observe(perf_counter() - started)
        return answer

    async def _admit(self, request: Request) -> Response:
        """Score a batch, or refuse the batch of a stranger, or if too many are in flight."""
        if not self.admits(request):
            return problems.unauthorized()
        if self.in_flight >= self.settings.inference_in_flight_max:
            return problems.overloaded(self.settings.retry_after_s)
        self.in_flight += 1
        inference_metrics.IN_FLIGHT.set(self.in_flight)
        try:
            return await self._score(request)
        finally:
            self.in_flight -= 1
            inference_metrics.IN_FLIGHT.set(self.in_flight)

    async def keep_current(self, every_s: float) -> None:
        """Load new versions until cancelled. If a version is invalid, keep the old ones."""
        told = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                if scoring_engine.current_versions(self.settings) == self.engine.versions:
                    continue
                self.engine = await asyncio.to_thread(scoring_engine.load, self.settings)
            except UserError as mistake:
                inference_metrics.RELOADS_FAILED.inc()
                if str(mistake) != told:  # log each problem once, not at every check
                    told = str(mistake)
                    log.warning("models_not_taken_up", reason=told)
                continue
            except Exception:
                inference_metrics.RELOADS_FAILED.inc()
                log.exception("models_not_taken_up")
                continue
            told = ""
            _show(self.engine)
            log.info("models_taken_up", versions=self.engine.versions)

    def close(self) -> None:
        """Stop the thread after its current batch."""
        self._thread.shutdown()

    async def _score(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READ_S_MAX):
                body = await _read(request)
        except (TimeoutError, ClientDisconnect):
            return problems.too_slow(READ_S_MAX)
        if body is None:
            return problems.too_large(BODY_BYTES_MAX)
        try:
            # Read the engine once, so that a reload during a batch does not mix versions.
            batch = await loop.run_in_executor(self._thread, _answer, self.engine, body)
        except ValidationError as wrong:
            return problems.invalid(wrong)
        except Exception:
            log.exception("batch_not_scored")
            return problems.defect()
        inference_metrics.EVENTS.inc(batch.events)
        inference_metrics.UNKNOWN_FEATURES.inc(batch.unknown_features)
        for model, count in batch.scored.items():
            inference_metrics.SCORES.labels(model).inc(count)
        return Response(batch.body, media_type="application/json")


def create_app(settings: Settings, reload_s: float = RELOAD_S) -> FastAPI:
    """Create the application and load its models. A missing model stops the start.

    Raises:
        UserError: a model or the token is missing, or a model or the retry rules are wrong.
    """
    service = Service(settings, scoring_engine.load(settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(service.keep_current(reload_s))
        yield
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        service.close()

    app = Inference(
        title="Inference",
        summary="Fraud, churn and the best retry, with reasons.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # pages that load scripts from elsewhere
        redoc_url=None,
    )

    # Answers are written as bytes: a validation would cost more than the scoring itself.
    @app.post(
        "/v1/score",
        summary="Score a batch",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra=_BODY,
    )
    async def score(request: Request) -> Response:
        return await service.score(request)

    @app.get(
        "/v1/models",
        summary="The cards of the models that answer now",
        response_model=list[Card],
        responses={401: _ANSWERS[401]},
    )
    async def models(request: Request) -> Any:  # noqa: ANN401
        return service.engine.cards if service.admits(request) else problems.unauthorized()

    @app.get("/livez", response_class=PlainTextResponse, summary="The process answers")
    async def livez() -> str:
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse, summary="The models are loaded")
    async def readyz() -> str:
        return "ready\n"  # before they are, nothing listens

    @app.get("/metrics", response_class=Response, summary="Prometheus text")
    async def metrics_text() -> Response:
        page, content_type = metrics_page()
        return Response(page, headers={"Content-Type": content_type})

    return app


def _answer(current: scoring_engine.Engine, body: bytes) -> scoring_engine.Batch:
    return current.score(ScoreRequest.model_validate_json(body).events)


async def _read(request: Request) -> bytes | None:
    """Read the body, or return `None` if it is larger than the limit."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > BODY_BYTES_MAX:
            return None
        parts.append(part)
    return b"".join(parts)


def _show(loaded: scoring_engine.Engine) -> None:
    inference_metrics.MODELS.clear()
    for model, version in loaded.versions.items():
        inference_metrics.MODELS.labels(model, version).set(1)
