"""A batch goes on soon, with or without scores, whatever inference does."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from payment_pipeline.domain.scoring import ScoreItem
from payment_pipeline.orchestrator.worker import scorer
from payment_pipeline.orchestrator.worker.scorer import UNAVAILABLE, Scorer, unpack

ITEM = ScoreItem(
    event_id="evt_1",
    kind="charge",
    event_type="charge.succeeded",
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    features={"amount_log10_major": 1.5},
)
ANSWER = (
    '{"scores":[{"event_id":"evt_1","fraud_score":'
    '{"value":0.25,"model":"fraud","version":"1","reasons":[]}}]}'
)

TOKENS = ["the first token, which is sent", "an older token"]


def tokens() -> list[str]:
    return TOKENS


class Inference:
    """Answers with these statuses in turn; the last status repeats."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.asked = 0
        self.cannot_score: set[str] = set()

    async def score(self, request: web.Request) -> web.Response:
        self.asked += 1
        assert request.headers["Authorization"] == f"Bearer {TOKENS[0]}"
        if self.cannot_score:
            ids = [event["event_id"] for event in (await request.json())["events"]]
            if self.cannot_score.intersection(ids):
                return web.Response(status=500)
            fraud = {"value": 0.5, "model": "fraud", "version": "1", "reasons": []}
            return web.json_response(
                {"scores": [{"event_id": each, "fraud_score": fraud} for each in ids]}
            )
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(text=ANSWER, status=status, content_type="application/json")


@pytest.fixture
def inference() -> Inference:
    return Inference()


@pytest.fixture
async def asking(inference: Inference, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scorer]:
    monkeypatch.setattr(scorer, "PAUSES_S", (0.0, 0.0, 0.0))
    app = web.Application()
    app.add_routes([web.post("/v1/score", inference.score)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Scorer(session, str(server.make_url("")).rstrip("/"), tokens)


async def test_scores_are_returned_as_inference_answered_them(asking: Scorer) -> None:
    scores = unpack(await asking.score([ITEM]))
    assert scores is not None
    fraud = scores["evt_1"].fraud_score
    assert fraud is not None
    assert (fraud.value, fraud.model) == (0.25, "fraud")


async def test_a_short_failure_is_retried(asking: Scorer, inference: Inference) -> None:
    inference.statuses = [503, 503, 200]
    assert await asking.score([ITEM]) != UNAVAILABLE
    assert inference.asked == 3


async def test_without_an_answer_the_batch_is_unavailable(
    asking: Scorer, inference: Inference
) -> None:
    inference.statuses = [500]
    assert await asking.score([ITEM]) == UNAVAILABLE
    assert inference.asked == 4


async def test_while_inference_is_down_each_batch_asks_once(
    asking: Scorer, inference: Inference
) -> None:
    inference.statuses = [503]
    await asking.score([ITEM])
    inference.asked = 0
    await asking.score([ITEM])
    assert inference.asked == 1
    inference.statuses = [200]
    assert await asking.score([ITEM]) != UNAVAILABLE


async def test_an_event_that_a_model_cannot_score_is_the_only_one_without_scores(
    asking: Scorer, inference: Inference
) -> None:
    items = [ITEM.model_copy(update={"event_id": f"evt_{number}"}) for number in range(100)]
    inference.cannot_score = {"evt_40", "evt_41", "evt_97"}
    scores = unpack(await asking.score(items))
    assert scores is not None
    assert [*scores] == [item.event_id for item in items]
    assert {id_ for id_, one in scores.items() if not one.scored} == inference.cannot_score


async def test_a_model_that_can_score_no_event_counts_as_down(
    asking: Scorer, inference: Inference
) -> None:
    items = [ITEM.model_copy(update={"event_id": f"evt_{number}"}) for number in range(3)]
    inference.cannot_score = {item.event_id for item in items}
    assert await asking.score(items) == UNAVAILABLE


async def test_a_refused_connection_counts_as_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "PAUSES_S", (0.0,))
    async with aiohttp.ClientSession() as session:
        # Nobody listens on the discard port.
        scorer_ = Scorer(session, "http://127.0.0.1:9", tokens)
        assert await scorer_.score([ITEM]) == UNAVAILABLE


async def test_a_batch_waits_only_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "DEADLINE_S", 0.1)
    gone = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/v1/score", hang)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        scorer_ = Scorer(session, str(server.make_url("")).rstrip("/"), tokens)
        assert await scorer_.score([ITEM]) == UNAVAILABLE
        gone.set()


@pytest.mark.parametrize("packed", [UNAVAILABLE, b"not compressed", zlib.compress(b"{}")])
def test_an_unreadable_answer_gives_no_scores(packed: bytes) -> None:
    assert unpack(packed) is None
