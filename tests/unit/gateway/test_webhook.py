"""Every webhook gets the right answer, and only signed bodies reach Kafka, unchanged."""

import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response

from payment_pipeline.gateway import gateway_metrics
from payment_pipeline.gateway.gateway_app import Gateway
from payment_pipeline.gateway.live_secrets import LiveSecrets
from payment_pipeline.gateway.operator_pages import OperatorPages
from payment_pipeline.gateway.publisher import (
    DeadlineError,
    NoBrokerError,
    NotPublishedError,
    OverloadedError,
)
from payment_pipeline.gateway.webhook import Webhooks
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from support.fakes import FakePublisher

OLD, NEW = "whsec_old", "whsec_new"
BODY_BYTES_MAX = 4096
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "charge.succeeded",
        "created": 1_700_000_000,
        "account": "acct_1",
        "data": {"object": {"id": "ch_1", "payment_intent": "pi_1", "note": "\u0000 é"}},
    }
).encode()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
async def client(publisher: FakePublisher, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    settings = Settings(
        var=tmp_path,
        webhook_secrets={"stripe": f"{NEW},{OLD}"},
        body_bytes_max=BODY_BYTES_MAX,
        retry_after_s=7,
    )
    secrets = {"stripe": LiveSecrets(providers()["stripe"], settings)}
    transport = ASGITransport(app=Gateway(Webhooks(settings, providers(), secrets, publisher)))
    async with AsyncClient(transport=transport, base_url="http://gateway") as found:
        yield found


@pytest.fixture
async def pages(publisher: FakePublisher) -> AsyncIterator[AsyncClient]:
    """A client of the second port."""
    transport = ASGITransport(app=OperatorPages(publisher, frozenset({"webhooks.dlq"})))
    async with AsyncClient(transport=transport, base_url="http://gateway-metrics") as found:
        yield found


def signature(body: bytes, secret: str = NEW, age_s: int = 0) -> str:
    signed_at = int(time.time()) - age_s
    digest = hmac.new(secret.encode(), b"%d." % signed_at + body, sha256).hexdigest()
    return f"t={signed_at},v1={digest}"


def signed(body: bytes, secret: str = NEW, age_s: int = 0, **more: str) -> dict[str, str]:
    return {
        "content-type": "application/json; charset=utf-8",
        "stripe-signature": signature(body, secret, age_s),
        **more,
    }


async def post(client: AsyncClient, body: bytes = EVENT, secret: str = NEW) -> Response:
    return await client.post("/webhooks/stripe", content=body, headers=signed(body, secret))


def assert_problem(answer: Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:payment-pipeline:problem:{code}"
    assert problem["title"]
    assert problem["detail"]


async def test_an_event_goes_unchanged_to_its_topic(
    client: AsyncClient, publisher: FakePublisher
) -> None:
    headers = signed(EVENT, traceparent=TRACEPARENT)
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    ((topic, key, body, found),) = publisher.records
    assert (topic, key, body) == ("webhooks.stripe.charge", b"pi_1", EVENT)
    assert found["ce_specversion"] == b"1.0"
    assert found["ce_id"] == b"evt_1"
    assert found["ce_type"] == b"charge.succeeded"
    assert found["ce_source"] == b"/webhooks/stripe/acct_1"
    assert found["ce_time"] == b"2023-11-14T22:13:20+00:00"
    assert found["body_sha256"] == sha256(EVENT).hexdigest().encode()
    assert found["traceparent"].startswith(TRACEPARENT[:36].encode())
    assert found["received_at"].endswith(b"+00:00")
    assert found["verdict"] == b"verified:stripe:" + sha256(NEW.encode()).hexdigest()[:8].encode()
    assert NEW.encode() not in b"".join(found.values())


async def test_each_live_secret_verifies_and_is_named(
    client: AsyncClient, publisher: FakePublisher
) -> None:
    assert (await post(client, secret=OLD)).status_code == 200
    fingerprint = sha256(OLD.encode()).hexdigest()[:8].encode()
    assert publisher.records[0][3]["verdict"] == b"verified:stripe:" + fingerprint


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"\xff\xfe", "unparseable", b"not_json"),
        (b'{"id": NaN}', "unparseable", b"not_json"),
        (b"", "unparseable", b"not_json"),
        (b"[]", "unparseable", b"not_an_object"),
        (b"{}", "unparseable", b"id_missing_or_invalid"),
        (b'{"object":"v2.core.event"}', "unsupported", b"unsupported_class:v2.core.event"),
    ],
)
async def test_what_is_signed_and_no_event_is_kept_as_a_dead_letter(
    client: AsyncClient, publisher: FakePublisher, body: bytes, status: str, reason: bytes
) -> None:
    answer = await post(client, body)
    assert (answer.status_code, answer.json()) == (200, {"status": status})
    ((topic, _, kept, found),) = publisher.records
    assert (topic, kept, found["reason"]) == ("webhooks.dlq", body, reason)
    assert "ce_id" not in found
    assert found["ce_source"] == b"/webhooks/stripe"
    assert found["body_sha256"] == sha256(body).hexdigest().encode()


@pytest.mark.parametrize(
    ("status", "code", "sign"),
    [
        (400, "signature_missing", lambda: None),
        (400, "signature_malformed", lambda: "nonsense"),
        (400, "signature_malformed", lambda: "t=1,v1=é"),
        (400, "signature_malformed", lambda: "t=1," + ",".join(["v1=0"] * 2000)),
        (401, "signature_mismatch", lambda: signature(EVENT, "whsec_of_a_stranger")),
        (401, "signature_mismatch", lambda: signature(b"another body")),
        (401, "timestamp_too_old", lambda: signature(EVENT, age_s=302)),
        (401, "timestamp_in_future", lambda: signature(EVENT, age_s=-302)),
    ],
)
async def test_what_is_not_signed_is_counted_and_never_kept(
    client: AsyncClient,
    publisher: FakePublisher,
    status: int,
    code: str,
    sign: Callable[[], str | None],
) -> None:
    count = gateway_metrics.REQUESTS.labels("stripe", status, code)
    before = count._value.get()
    headers = [(b"content-type", b"application/json")]
    header = sign()
    if header is not None:
        headers.append((b"stripe-signature", header.encode()))
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=headers)
    assert_problem(answer, status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert publisher.records == []
    assert count._value.get() == before + 1


async def test_two_signature_headers_have_no_meaning(client: AsyncClient) -> None:
    lines = [*signed(EVENT).items(), ("stripe-signature", signature(EVENT))]
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=lines)
    assert_problem(answer, 400, "signature_malformed")


@pytest.mark.parametrize("path", ["/webhooks/", "/webhooks/nobody", "/webhooks/stripe/more"])
async def test_only_known_providers_are_there(client: AsyncClient, path: str) -> None:
    assert_problem(
        await client.post(path, content=EVENT, headers=signed(EVENT)), 404, "unknown_provider"
    )


async def test_webhooks_are_posted(client: AsyncClient) -> None:
    answer = await client.get("/webhooks/stripe")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"content-type": "text/plain"}, "not_json"),
        ({"content-type": "application/jsonp"}, "not_json"),
        ({"content-type": ""}, "not_json"),
        ({"content-encoding": "gzip"}, "content_encoded"),
    ],
)
async def test_only_plain_json_is_taken(
    client: AsyncClient, changed: dict[str, str], code: str
) -> None:
    headers = {**signed(EVENT), **changed}
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=headers)
    assert_problem(answer, 415, code)


async def test_a_body_may_be_as_large_as_the_cap_and_no_larger(
    client: AsyncClient, publisher: FakePublisher
) -> None:
    largest = EVENT.ljust(BODY_BYTES_MAX)
    assert (await post(client, largest)).status_code == 200
    assert_problem(await post(client, largest + b" "), 413, "body_too_large")
    assert len(publisher.records) == 1


async def test_a_body_without_a_length_is_read_no_further_than_the_cap(
    client: AsyncClient, publisher: FakePublisher
) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 100 * BODY_BYTES_MAX:
            given += 1024
            yield b" " * 1024

    answer = await client.post("/webhooks/stripe", content=endless(), headers=signed(b""))
    assert_problem(answer, 413, "body_too_large")
    assert given <= BODY_BYTES_MAX + 1024
    assert publisher.records == []


async def test_a_body_in_pieces_is_one_body(client: AsyncClient, publisher: FakePublisher) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(EVENT), 7):
            yield EVENT[at : at + 7]

    answer = await client.post("/webhooks/stripe", content=pieces(), headers=signed(EVENT))
    assert answer.status_code == 200
    assert publisher.records[0][2] == EVENT


@pytest.mark.parametrize(
    ("failure", "code"),
    [(NoBrokerError, "no_broker"), (DeadlineError, "deadline"), (OverloadedError, "overloaded")],
)
@pytest.mark.parametrize("body", [EVENT, b"no event"])
async def test_what_is_not_acknowledged_is_never_a_200(
    client: AsyncClient,
    publisher: FakePublisher,
    failure: type[NotPublishedError],
    code: str,
    body: bytes,
) -> None:
    publisher.failure = failure
    answer = await post(client, body)
    assert_problem(answer, 503, code)
    assert answer.headers["retry-after"] == "7"


async def test_without_room_the_body_is_not_even_read(
    client: AsyncClient, publisher: FakePublisher
) -> None:
    publisher.room = False
    read = False

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield EVENT

    answer = await client.post("/webhooks/stripe", content=watched(), headers=signed(EVENT))
    assert_problem(answer, 503, "overloaded")
    assert not read


@pytest.mark.parametrize("given", ["", " ", "00-injected\tvalue-01", "é", TRACEPARENT + "x"])
async def test_a_traceparent_of_a_strangers_starts_a_new_trace(
    given: str, client: AsyncClient, publisher: FakePublisher
) -> None:
    raw = {name.encode(): value.encode() for name, value in signed(EVENT).items()}
    raw[b"traceparent"] = given.encode("latin-1")
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=raw)
    assert answer.status_code == 200
    assert publisher.records[0][3]["traceparent"][:35] != TRACEPARENT[:35].encode()
    assert b"injected" not in publisher.records[0][3]["traceparent"]


async def test_a_defect_of_ours_is_a_500_to_be_tried_again(
    client: AsyncClient, publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(providers()["stripe"]), "read", broken)
    assert_problem(await post(client), 500, "defect")
    assert publisher.records == []


async def test_alive_without_kafka_and_ready_only_with(
    pages: AsyncClient, publisher: FakePublisher
) -> None:
    publisher.ready = False
    assert (await pages.get("/livez")).status_code == 200
    assert_problem(await pages.get("/readyz"), 503, "not_ready")
    publisher.ready = True
    assert (await pages.get("/readyz")).status_code == 503, "remembered for a second"


async def test_ready_when_kafka_has_the_topics(
    pages: AsyncClient, publisher: FakePublisher
) -> None:
    assert (await pages.get("/readyz")).status_code == 200
    assert publisher.asked_about == frozenset({"webhooks.dlq"})


async def test_metrics_count_what_was_answered(client: AsyncClient, pages: AsyncClient) -> None:
    await post(client)
    page = (await pages.get("/metrics")).text
    assert 'payments_gateway_requests_total{code="accepted",provider="stripe",status="200"}' in page
    assert "payments_gateway_request_duration_seconds_bucket" in page


async def test_openapi_says_what_each_answer_means(pages: AsyncClient) -> None:
    document = (await pages.get("/openapi.json")).json()
    responses = document["paths"]["/webhooks/{provider}"]["post"]["responses"]
    assert set(responses) >= {"200", "400", "401", "404", "413", "415", "503"}
    assert "timestamp_too_old" in responses["401"]["description"]
    assert "Retry-After" in responses["503"]["headers"]
    schema = responses["503"]["content"]["application/problem+json"]["schema"]
    assert schema["properties"]["code"]["enum"] == ["no_broker", "deadline", "overloaded"]
    assert {"/livez", "/readyz", "/metrics"} < set(document["paths"])


PAGES = ("/metrics", "/readyz", "/livez", "/openapi.json", "//metrics", "/x/../metrics")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via", None])
async def test_through_a_proxy_the_webhooks_alone_are_reached(
    client: AsyncClient, header: str | None
) -> None:
    """Without a header of a proxy too, because a proxy need not add one."""
    added = {header: "203.0.113.7"} if header else {}
    for path in PAGES:
        assert_problem(await client.get(path, headers=added), 404, "not_found")
    answer = await client.post("/webhooks/stripe", content=EVENT, headers=signed(EVENT) | added)
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_the_second_port_serves_no_proxy_and_no_webhook(
    pages: AsyncClient, publisher: FakePublisher, header: str
) -> None:
    for path in PAGES:
        answer = await pages.get(path, headers={header: "203.0.113.7"})
        assert_problem(answer, 404, "not_found")
    assert (await pages.get("/metrics")).status_code == 200
    assert_problem(await post(pages), 404, "not_found")
    assert publisher.records == []


async def test_what_is_no_webhook_is_refused_as_webhooks_are(
    client: AsyncClient, pages: AsyncClient
) -> None:
    assert_problem(await client.post("/webhooks"), 404, "not_found")
    assert_problem(await client.get("/elsewhere"), 404, "not_found")
    assert_problem(await pages.get("/metrics", headers={"Via": "1.1 proxy"}), 404, "not_found")
    refused = await pages.delete("/livez")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET"


async def test_no_page_loads_scripts_from_elsewhere(
    client: AsyncClient, pages: AsyncClient
) -> None:
    for path in ("/docs", "/redoc"):
        assert (await client.get(path)).status_code == 404
        assert (await pages.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/MARK", "/MARK", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_no_answer_repeats_a_byte_of_the_request(
    client: AsyncClient, pages: AsyncClient, method: str, path: str
) -> None:
    marked = {"x-mark": "MARK", "traceparent": "MARK", "content-type": "application/json"}
    for headers in (marked, marked | {"stripe-signature": "t=1,v1=MARK"}, marked | signed(b"MARK")):
        for port in (client, pages):
            answer = await port.request(method, path, content=b"MARK", headers=headers)
            said = answer.text + str(answer.headers)
            assert "MARK" not in said
            assert "server" not in answer.headers
