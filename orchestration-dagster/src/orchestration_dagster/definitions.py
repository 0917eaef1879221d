"""What does Dagster run? Everything found in `defs`, with the resources that it asks for."""

from pathlib import Path

import dagster as dg

from .settings_resource import PipelineSettings


@dg.definitions
def defs() -> dg.Definitions:
    """The code location; a folder in `defs` is found without being named here."""
    found = dg.load_from_defs_folder(path_within_project=Path(__file__))
    return dg.Definitions.merge(found, dg.Definitions(resources={"settings": PipelineSettings()}))
