"""The scoring service answers every request as its OpenAPI document says."""

from collections.abc import Callable

import pytest
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from payment_pipeline.inference.inference_app import create_app
from payment_pipeline.settings import Settings
from support.documents import Case, document, hold_to

NAME = "inference_token"


@pytest.fixture(scope="module")
def published(trained: Settings) -> BaseSchema:
    return document(create_app(trained))


@pytest.mark.parametrize("mode", [*GenerationMode])
def test_a_batch_is_answered_as_documented(
    published: BaseSchema, trained: Settings, mode: GenerationMode
) -> None:
    hold_to(published, "POST /v1/score", mode, _log_in(trained))


@pytest.mark.parametrize("path", ["/v1/models", "/livez", "/readyz", "/metrics"])
def test_a_question_is_answered_as_documented(
    published: BaseSchema, trained: Settings, path: str
) -> None:
    hold_to(published, f"GET {path}", GenerationMode.POSITIVE, _log_in(trained))


@pytest.mark.parametrize("operation", ["POST /v1/score", "GET /v1/models"])
def test_a_stranger_is_answered_as_documented(published: BaseSchema, operation: str) -> None:
    hold_to(published, operation, GenerationMode.POSITIVE)


def _log_in(settings: Settings) -> Callable[[Case], None]:
    def with_token(case: Case) -> None:
        case.headers["Authorization"] = f"Bearer {settings.secret(NAME)}"

    return with_token
