"""The input of the workflow `Rescore`."""

from typing import get_type_hints

import pytest
from temporalio.converter import DataConverter

from payment_pipeline.orchestrator.messages import RescoreProgress
from payment_pipeline.orchestrator.workflows.rescore import Rescore


@pytest.mark.parametrize("progress", [RescoreProgress(7), 7])
def test_the_count_that_older_versions_pass_on_is_still_read(
    progress: RescoreProgress | int,
) -> None:
    converter = DataConverter.default.payload_converter
    accepted = get_type_hints(Rescore.run)["progress"]
    assert converter.from_payload(converter.to_payload(progress), accepted) == progress
