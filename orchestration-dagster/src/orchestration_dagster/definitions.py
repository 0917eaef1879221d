"""Dagster's code location: all definitions of the folder `defs`, and the settings resource."""

from pathlib import Path

import dagster as dg

from .settings_resource import PipelineSettings


@dg.definitions
def defs() -> dg.Definitions:
    """The code location. Modules in `defs` are found by listing the folder."""
    found = dg.load_from_defs_folder(path_within_project=Path(__file__))
    return dg.Definitions.merge(found, dg.Definitions(resources={"settings": PipelineSettings()}))
