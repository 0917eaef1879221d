"""Does a service answer every request, odd ones too, as its OpenAPI document says? For any service.

Schemathesis makes the requests from the document, valid and invalid ones, and judges the answers:
documented status, content type, headers and schema, and nothing that is a defect. Its own pytest
plugin stays off: it knows an older pytest.
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
"""Of each operation and each kind, valid and invalid: a few seconds."""


def document(app: FastAPI) -> BaseSchema:
    """The document that an application publishes of itself, bound to it."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def hold_to(
    schema: BaseSchema,
    operation: str,
    mode: GenerationMode,
    prepare: Callable[[Case], None] = lambda _case: None,
    excluded: Sequence[CheckFunction] = (),
) -> None:
    """Call one operation, `"METHOD /path"`, again and again, and judge each answer.

    Raises:
        schemathesis' failures: an answer isn't what the document says.
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
