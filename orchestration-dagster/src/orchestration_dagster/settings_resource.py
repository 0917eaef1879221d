"""The settings as a Dagster resource. Assets open their own clients with them."""

import dagster as dg

from payment_pipeline import settings
from payment_pipeline.settings import Settings


class PipelineSettings(dg.ConfigurableResource[Settings]):
    """The pipeline's settings, read from the environment of the process that runs the asset."""

    def load(self) -> Settings:
        """The settings of this process.

        Raises:
            pydantic.ValidationError: a variable has a value that its setting can't take.
        """
        return settings.load()
