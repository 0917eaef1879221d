"""How is a batch scored? By one POST to inference, which may be down without holding a payment up.

Scores travel through Temporal between scoring and persisting, so that what was answered is what is
written: as inference's own JSON, compressed.
"""

import asyncio
import zlib
from collections.abc import Sequence
from typing import Final

import aiohttp
import orjson
import structlog
from pydantic import ValidationError

from payment_pipeline.domain.scoring import EventScores, ScoreItem, ScoreRequest, ScoreResponse
from payment_pipeline.orchestrator.worker import worker_telemetry
from payment_pipeline.telemetry import traces

PAUSES_S: Final = (0.1, 0.4, 1.0)
"""Between the tries of one batch: enough for a restart behind a load balancer."""
DEADLINE_S: Final = 8.0
"""For all tries of a batch together, its waiting in inference's queue included."""
DEADLINE_WHEN_DOWN_S: Final = 3.0
"""While inference is known to be down a batch tries once, so that the backlog keeps moving."""

CHOKED: Final = ("status 400", "status 422", "status 500")
"""It is up, and something in the batch is too much for it."""

UNAVAILABLE: Final = b""
"""What is packed in the place of scores when there are none."""

log = structlog.get_logger()


class Scorer:
    """Asks inference; remembers whether it answered last time."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        """`session` is the owner's to close."""
        self._session = session
        self._url = f"{base_url}/v1/score"
        self._down = False

    async def score(self, items: Sequence[ScoreItem]) -> bytes:
        """Packed scores of 1 to 1,000 items in their order, or `UNAVAILABLE`."""
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
        """Inference's JSON, or why there is none."""
        body = ScoreRequest(events=list(items)).model_dump_json(exclude_none=True).encode()
        answer: bytes | str = ""
        for pause_s in (0.0,) if self._down else (0.0, *PAUSES_S):
            await asyncio.sleep(pause_s)
            answer = await self._post(body)
            if isinstance(answer, bytes):
                return answer
            if answer in CHOKED and len(items) > 1:
                return await self._apart(items, answer)
        return answer

    async def _apart(self, items: Sequence[ScoreItem], why: str) -> bytes | str:
        """Ask in halves, so that an event that a model chokes on costs its own scores alone.

        Where it chokes on all of them, it is not the events.
        """
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        answers = [await self._ask(half) for half in halves]
        if all(answer in CHOKED for answer in answers):
            return why
        scores: list[object] = []
        for half, answer in zip(halves, answers, strict=True):
            if isinstance(answer, bytes):
                scores += orjson.loads(answer)["scores"]
            elif answer not in CHOKED:
                return answer
            else:
                log.error("unscorable", records=len(half), reason=answer)
                scores += [{"event_id": item.event_id} for item in half]
        return orjson.dumps({"scores": scores})

    async def _post(self, body: bytes) -> bytes | str:
        """The answer's body, or why there is none."""
        headers = {"Content-Type": "application/json"}
        if traceparent := traces.tracer().here():
            headers["traceparent"] = traceparent
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                said = await answer.read()
                return said if answer.status == 200 else f"status {answer.status}"
        except aiohttp.ClientError as error:
            return type(error).__name__


def unpack(packed: bytes) -> dict[str, EventScores] | None:
    """The scores by event id; `None` if inference was unavailable, or said what can't be read."""
    if packed == UNAVAILABLE:
        return None
    try:
        answer = ScoreResponse.model_validate_json(zlib.decompress(packed))
    except (ValidationError, zlib.error):
        worker_telemetry.INFERENCE_FAILURES.labels("unreadable").inc()
        return None
    return {scores.event_id: scores for scores in answer.scores}
