"""The gateway answers every request as its OpenAPI document says."""

import hmac
import json
import time
from hashlib import sha256
from typing import Final

import pytest
from schemathesis import GenerationMode
from schemathesis.checks import negative_data_rejection
from schemathesis.schemas import BaseSchema
from starlette.types import Receive, Scope, Send

from payment_pipeline.gateway.gateway_app import Gateway
from payment_pipeline.gateway.live_secrets import LiveSecrets
from payment_pipeline.gateway.operator_pages import OperatorPages
from payment_pipeline.gateway.webhook import PREFIX, Webhooks
from payment_pipeline.providers import providers
from payment_pipeline.settings import Settings
from support.documents import Case, document, hold_to
from support.fakes import FakePublisher

SECRET: Final = "whsec_document"
WEBHOOK: Final = "POST /webhooks/{provider}"
PROBES: Final = ("GET /livez", "GET /readyz", "GET /metrics")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> BaseSchema:
    settings = Settings.model_validate(
        {
            "var": tmp_path_factory.mktemp("var"),
            "webhook_secrets": {"stripe": SECRET},
            "body_bytes_max": 4096,
        }
    )
    kafka = FakePublisher()
    secrets = {"stripe": LiveSecrets(providers()["stripe"], settings)}
    return document(_BothPorts(kafka, Gateway(Webhooks(settings, providers(), secrets, kafka))))


class _BothPorts(OperatorPages):
    """Both ports in one application: the document of one describes the webhooks of the other."""

    def __init__(self, kafka: FakePublisher, gateway: Gateway) -> None:
        super().__init__(kafka, frozenset())
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._gateway(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def sign(case: Case) -> None:
    """Sign the very bytes that are sent, as Stripe would."""
    case.path_parameters["provider"] = "stripe"
    if not isinstance(case.body, bytes):
        case.body = json.dumps(case.body, default=str).encode()
    now = int(time.time())
    digest = hmac.new(SECRET.encode(), b"%d." % now + case.body, sha256).hexdigest()
    case.headers["Stripe-Signature"] = f"t={now},v1={digest}"


def test_the_document_has_every_operation(published: BaseSchema) -> None:
    found = {
        f"{method.upper()} {path}"
        for path, methods in published.raw_schema["paths"].items()
        for method in methods
    }
    assert found == {WEBHOOK, *PROBES}


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_is_answered_as_documented(published: BaseSchema, probe: str) -> None:
    hold_to(published, probe, GenerationMode.POSITIVE)


@pytest.mark.parametrize("mode", [*GenerationMode])
def test_a_stranger_is_answered_as_documented(published: BaseSchema, mode: GenerationMode) -> None:
    hold_to(published, WEBHOOK, mode)


@pytest.mark.parametrize("mode", [*GenerationMode])
def test_who_signs_is_answered_as_documented(published: BaseSchema, mode: GenerationMode) -> None:
    """What is signed and no event is kept, with a 200: the one rule of the document that bends."""
    hold_to(published, WEBHOOK, mode, sign, [negative_data_rejection])
