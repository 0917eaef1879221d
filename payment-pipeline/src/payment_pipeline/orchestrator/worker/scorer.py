"""Scores a batch with one POST to inference; without inference the batch goes on unscored.

Temporal stores the scores between scoring and persisting, so the scores that inference answered are
the scores that are written. They are packed: inference's own JSON, compressed.
"""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import orjson
import structlog
from pydantic import ValidationError

from payment_pipeline.domain.scoring import EventScores, ScoreItem, ScoreRequest, ScoreResponse
from payment_pipeline.orchestrator.worker import worker_telemetry
from payment_pipeline.telemetry import traces

PAUSES_S: Final = (0.1, 0.4, 1.0)
"""Pauses between the attempts of one batch: enough for a restart behind a load balancer."""
DEADLINE_S: Final = 8.0
"""Limit for all attempts of a batch together, including the wait in inference's queue."""
DEADLINE_WHEN_DOWN_S: Final = 3.0
"""Limit for a batch while inference is known to be down. Such a batch has one attempt, so that the
backlog keeps moving."""

BAD_BATCH: Final = ("status 400", "status 422", "status 500")
"""Failures of an inference that is up: it cannot score some event of the batch."""

UNAVAILABLE: Final = b""
"""The packed form of "inference was unavailable"."""

log = structlog.get_logger()


class Scorer:
    """Asks inference for scores, and remembers whether inference answered last time."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, tokens: Callable[[], Sequence[str]]
    ) -> None:
        """The caller closes `session`. The first of the tokens is sent with each request."""
        self._session = session
        self._tokens = tokens
        self._url = f"{base_url}/v1/score"
        self._down = False

    async def score(self, items: Sequence[ScoreItem]) -> bytes:
        """Return the packed scores of 1 to 1,000 items in their order, or `UNAVAILABLE`."""
        try:
            async with asyncio.timeout(DEADLINE_WHEN_DOWN_S if self._down else DEADLINE_S):
                answer = await self._ask(items)
        except TimeoutError:
            answer = "deadline"
        self._down = isinstance(answer, str)
        if isinstance(answer, bytes):
            return zlib.compress(answer, level=1)
        worker_telemetry.INFERENCE_FAILURES.labels(answer).inc()
        log.warning("inference_unavailable", reason=answer)
        return UNAVAILABLE

    async def _ask(self, items: Sequence[ScoreItem]) -> bytes | str:
        """Return inference's JSON, or the reason why there is none."""
        body = ScoreRequest(events=list(items)).model_dump_json(exclude_none=True).encode()
        answer: bytes | str = ""
        for pause_s in (0.0,) if self._down else (0.0, *PAUSES_S):
            await asyncio.sleep(pause_s)
            answer = await self._post(body)
            if isinstance(answer, bytes):
                return answer
            if answer in BAD_BATCH and len(items) > 1:
                return await self._ask_halves(items, answer)
        return answer

    async def _ask_halves(self, items: Sequence[ScoreItem], reason: str) -> bytes | str:
        """Ask for two halves, so that an event that a model cannot score costs only its own scores.

        If both halves fail, the fault is inference's and not an event's.
        """
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        answers = [await self._ask(half) for half in halves]
        if all(answer in BAD_BATCH for answer in answers):
            return reason
        scores: list[object] = []
        for half, answer in zip(halves, answers, strict=True):
            if isinstance(answer, bytes):
                scores += orjson.loads(answer)["scores"]
            elif answer not in BAD_BATCH:
                return answer
            else:
                log.error("unscorable", records=len(half), reason=answer)
                scores += [{"event_id": item.event_id} for item in half]
        return orjson.dumps({"scores": scores})

    async def _post(self, body: bytes) -> bytes | str:
        """Return the response's body, or the reason why there is none."""
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._tokens()[0]}",
        }
        if traceparent := traces.tracer().current_traceparent():
            headers["traceparent"] = traceparent
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                scores = await answer.read()
                return scores if answer.status == 200 else f"status {answer.status}"
        except aiohttp.ClientError as error:
            return type(error).__name__


def unpack(packed: bytes) -> dict[str, EventScores] | None:
    """Return the scores by event id.

    Returns:
        `None` if inference was unavailable or its answer cannot be read.
    """
    if packed == UNAVAILABLE:
        return None
    try:
        answer = ScoreResponse.model_validate_json(zlib.decompress(packed))
    except (ValidationError, zlib.error):
        worker_telemetry.INFERENCE_FAILURES.labels("unreadable").inc()
        return None
    return {scores.event_id: scores for scores in answer.scores}
