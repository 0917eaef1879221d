"""The HTTP interface of the scoring service: answers, typed problems, probes and reloads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from payment_pipeline.domain.scoring import ScoreItem, ScoreRequest, ScoreResponse
from payment_pipeline.inference import inference_app as app_module
from payment_pipeline.inference import model_store, scoring_engine
from payment_pipeline.inference.inference_app import create_app
from payment_pipeline.inference.models import models
from payment_pipeline.inference.training import models_dir
from payment_pipeline.inference.training_dataset import History
from payment_pipeline.settings import MissingSecretError, Settings

RELOAD_S = 0.02


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, RELOAD_S)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://inference", headers=_token(settings)
        ) as client,
    ):
        yield client


def _token(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.secret('inference_token')}"}


def event(**changes: object) -> dict[str, object]:
    return {
        "event_id": "evt_1",
        "kind": "charge",
        "event_type": "charge.failed",
        "occurred_at": "2025-06-05T12:00:00Z",
        "features": {"risk_score": 10.0},
        "decline": {"network": "visa"},
    } | changes


async def post(client: httpx.AsyncClient, *events: dict[str, object]) -> httpx.Response:
    return await client.post("/v1/score", content=orjson.dumps({"events": events}))


async def test_a_thousand_events_are_answered_in_their_order(
    trained: Settings, history: History
) -> None:
    asked = list(history.items[5000:6000])
    async with serving(trained) as client:
        body = ScoreRequest(events=asked).model_dump_json()
        answer = await client.post("/v1/score", content=body)
    assert answer.status_code == 200
    scores = ScoreResponse.model_validate_json(answer.content).scores
    assert [one.event_id for one in scores] == [one.event_id for one in asked]
    for one, item in zip(scores, asked, strict=True):
        assert (one.retry_strategy is None) == (item.decline is None)
    assert any(one.fraud_score for one in scores)
    assert any(one.churn_score for one in scores)


async def test_a_batch_scores_as_its_events_do_alone(trained: Settings, history: History) -> None:
    asked = list(history.items[6000:6040])
    async with serving(trained) as client:

        async def scores(items: Sequence[ScoreItem]) -> list[Any]:
            answer = await client.post(
                "/v1/score", content=ScoreRequest(events=list(items)).model_dump_json()
            )
            return list(answer.json()["scores"])

        together = await scores(asked)
        assert together == [(await scores([one]))[0] for one in asked]


async def test_an_event_that_no_model_covers_has_no_score(trained: Settings) -> None:
    payout = event(kind="payout", event_type="payout.paid", decline=None)
    async with serving(trained) as client:
        (scores,) = (await post(client, payout)).json()["scores"]
    assert scores.pop("event_id") == "evt_1"
    assert scores == {model.output: None for model in models().values()}


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        (b"{", "not_json", ""),
        (b'{"events": []}', "invalid_batch", "events"),
        (orjson.dumps({"events": [event()] * 1001}), "invalid_batch", "events"),
        (orjson.dumps({"events": [event(features={"a": "sk_live_1"})]}), "invalid_batch", None),
        (orjson.dumps({"events": [event(features={"a": True})]}), "invalid_batch", None),
        (orjson.dumps({"events": [event(features={"a": "1"})]}), "invalid_batch", None),
        (orjson.dumps({"events": [event(occurred_at="sk_live_1")]}), "invalid_batch", None),
        (orjson.dumps({"events": [event(more="sk_live_1")]}), "invalid_batch", "events.0.more"),
        (orjson.dumps([event()]), "invalid_batch", ""),
    ],
)
async def test_what_is_no_batch_is_a_typed_422_that_repeats_nothing(
    trained: Settings, body: bytes, code: str, path: str | None
) -> None:
    async with serving(trained) as client:
        answer = await client.post("/v1/score", content=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert "sk_live" not in answer.text
    if path is not None:
        assert problem["errors"][0]["path"] == path


async def test_a_thousand_wrong_events_are_told_by_a_few(trained: Settings) -> None:
    async with serving(trained) as client:
        answer = await post(client, *[event(kind=1)] * 1000)
    assert len(answer.json()["errors"]) <= 20


async def test_not_a_number_is_as_unknown(trained: Settings) -> None:
    whole = orjson.dumps({"events": [event()]}).replace(b"10.0", b"NaN")
    async with serving(trained) as client:
        nan = await client.post("/v1/score", content=whole)
        without = await post(client, event(features={}))
    assert nan.status_code == 200
    assert nan.json() == without.json()


async def test_a_feature_nobody_knows_is_left_out_and_counted(trained: Settings) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("payments_inference_unknown_features_total") or 0.0

    before = counted()
    async with serving(trained) as client:
        with_it = await post(client, event(features={"risk_score": 10.0, "of_tomorrow": 1.0}))
        without = await post(client, event())
    assert with_it.json() == without.json()
    assert counted() == before + 1


async def test_a_body_over_the_cap_is_refused(trained: Settings) -> None:
    async with serving(trained) as client:
        answer = await client.post("/v1/score", content=b" " * (app_module.BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


class Stuck:
    """An engine that doesn't come back until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def score(self, _: object) -> scoring_engine.Batch:
        self.begun.set()
        self.go.wait(10)
        return scoring_engine.Batch(b'{"scores":[]}', 0, {}, 0)


async def test_probes_answer_while_it_scores_and_past_the_bound_it_says_when(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck()
    monkeypatch.setattr(scoring_engine.Engine, "score", stuck.score)
    async with serving(trained.model_copy(update={"inference_in_flight_max": 1})) as client:
        first = asyncio.create_task(post(client, event()))
        await asyncio.to_thread(stuck.begun.wait, 10)
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        refused = await post(client, event())
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        stuck.go.set()
        assert (await first).status_code == 200
        assert (await post(client, event())).status_code == 200


async def test_a_defect_is_a_500_and_the_next_batch_is_answered(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(trained) as client:
        with monkeypatch.context() as patch:
            patch.setattr(scoring_engine.Engine, "score", lambda *_: 1 / 0)
            broken = await post(client, event())
        assert (broken.status_code, broken.json()["code"]) == (500, "defect")
        assert (await post(client, event())).status_code == 200


async def test_a_new_version_is_taken_up_and_a_broken_one_is_not(models_of: Settings) -> None:
    root = models_dir(models_of)
    stored = model_store.load(root, "fraud", model_store.current(root, "fraud"))

    async def served(client: httpx.AsyncClient) -> str:
        cards = (await client.get("/v1/models")).json()
        return str(next(card["version"] for card in cards if card["model"] == "fraud"))

    async with serving(models_of) as client:
        assert await served(client) == stored.version
        model_store.save(
            root, stored.estimator, stored.card.model_copy(update={"version": "newer"})
        )
        async with asyncio.timeout(10):
            while await served(client) != "newer":
                await asyncio.sleep(RELOAD_S)

        failed = "payments_inference_reload_failures_total"
        before = REGISTRY.get_sample_value(failed) or 0.0
        (root / "fraud" / "current").write_text("no_such_version")
        async with asyncio.timeout(10):
            while (REGISTRY.get_sample_value(failed) or 0.0) == before:
                await asyncio.sleep(RELOAD_S)
        assert await served(client) == "newer"
        assert (await client.get("/readyz")).status_code == 200
        fraud = event(event_type="charge.succeeded", decline=None)
        (scores,) = (await post(client, fraud)).json()["scores"]
        assert scores["fraud_score"]["version"] == "newer"


async def test_openapi_says_what_each_answer_means(trained: Settings) -> None:
    async with serving(trained) as client:
        document = (await client.get("/openapi.json")).json()
    route, schemas = document["paths"]["/v1/score"]["post"], document["components"]["schemas"]
    assert set(route["responses"]) == {"200", "401", "408", "413", "422", "500", "503"}
    schema = route["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ScoreRequest"}
    assert "features" in schemas["ScoreItem"]["properties"]


async def test_metrics_name_the_versions_that_answer(trained: Settings) -> None:
    async with serving(trained) as client:
        await post(client, event())
        page = (await client.get("/metrics")).text
    for model, version in scoring_engine.current_versions(trained).items():
        assert f'payments_inference_model_info{{model="{model}",version="{version}"}} 1.0' in page
    assert 'payments_inference_requests_total{status="200"}' in page


async def test_each_event_that_was_asked_about_is_counted(trained: Settings) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("payments_inference_events_total") or 0.0

    async with serving(trained) as client:
        before = counted()
        await post(client, event(), event())
    assert counted() == before + 2


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic a token with enough characters",
        "Bearer a token with enough character",
        "Bearer a token with enough characters ",
        "Bearer A TOKEN WITH ENOUGH CHARACTERS",
    ],
)
async def test_a_request_without_the_token_is_refused_before_its_body_is_read(
    trained: Settings, header: str | None
) -> None:
    async with serving(trained) as client:
        client.headers.pop("authorization")
        headers = {} if header is None else {"Authorization": header}
        never_sent = httpx.Request("POST", "http://inference/v1/score", headers=headers)
        for request in (
            never_sent,
            httpx.Request("GET", "http://inference/v1/models", headers=headers),
        ):
            answer = await client.send(request)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "unauthorized"


async def test_during_a_rotation_both_tokens_are_accepted(trained: Settings) -> None:
    both = SecretStr("the newest token of the two,a token with enough characters")
    async with serving(trained.model_copy(update={"inference_token": both})) as client:
        for token in both.get_secret_value().split(","):
            client.headers["authorization"] = f"bearer {token}"
            assert (await client.get("/v1/models")).status_code == 200


@pytest.mark.parametrize("empty", [None, SecretStr(""), SecretStr(" "), SecretStr(" ,\n")])
async def test_without_a_token_it_does_not_start(
    trained: Settings, empty: SecretStr | None
) -> None:
    """An empty token never turns the check off."""
    with pytest.raises(MissingSecretError, match="PAYMENTS_INFERENCE_TOKEN"):
        create_app(trained.model_copy(update={"inference_token": empty}))


async def test_the_probes_ask_for_no_token(trained: Settings) -> None:
    async with serving(trained) as client:
        client.headers.pop("authorization")
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
