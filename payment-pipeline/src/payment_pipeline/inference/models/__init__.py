"""The registry of models: each module has a `MODEL` that implements `inference.model.Model`.

The folder is the registry: a module `models/<name>.py` that has a `MODEL` is a model. `payments
train` trains it, the service loads it, and its answer is under `output` in `EventScores`, so in
bronze's `scores` and in the mart `fct_model_decisions`.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from payment_pipeline.inference.model import Model


@cache
def models() -> Mapping[str, Model]:
    """Every model found in this folder, by name."""
    modules = (
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    )
    return {module.MODEL.name: module.MODEL for module in modules if hasattr(module, "MODEL")}
