"""Checks that a service answers every request, valid or not, as its OpenAPI document says.

Schemathesis generates the requests from the document and checks status, content type, headers and
schema of the answers. Its pytest plugin stays off, because it needs an older pytest.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import CheckFunction, GenerationMode
from schemathesis.schemas import BaseSchema

Case: TypeAlias = schemathesis.Case[Any]
EXAMPLES_MAX: Final = 60
"""Requests per operation, for valid and for invalid ones each. They take a few seconds."""


def document(app: FastAPI) -> BaseSchema:
    """Load the OpenAPI document of an application, bound to the application."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def hold_to(
    schema: BaseSchema,
    operation: str,
    mode: GenerationMode,
    prepare: Callable[[Case], None] = lambda _case: None,
    excluded: Sequence[CheckFunction] = (),
) -> None:
    """Call one operation (`"METHOD /path"`) with many requests, and check each answer.

    Raises:
        schemathesis' failures: an answer differs from the document.
    """
    method, path = operation.split()

    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
    )
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def answered(case: Case) -> None:
        prepare(case)
        case.call_and_validate(excluded_checks=[*excluded])

    answered()
