"""The scoring service answers every request as its OpenAPI document says."""

import pytest
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from payment_pipeline.inference.inference_app import create_app
from payment_pipeline.settings import Settings
from support.documents import document, hold_to


@pytest.fixture(scope="module")
def published(trained: Settings) -> BaseSchema:
    return document(create_app(trained))


@pytest.mark.parametrize("mode", [*GenerationMode])
def test_a_batch_is_answered_as_documented(published: BaseSchema, mode: GenerationMode) -> None:
    hold_to(published, "POST /v1/score", mode)


@pytest.mark.parametrize("path", ["/v1/models", "/livez", "/readyz", "/metrics"])
def test_a_question_is_answered_as_documented(published: BaseSchema, path: str) -> None:
    hold_to(published, f"GET {path}", GenerationMode.POSITIVE)
