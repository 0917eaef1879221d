"""The inference service: scores payments with the trained models."""

import pkgutil
from importlib.util import find_spec
from typing import Final

from local_stack.component import Work, stage
from local_stack.files import var
from payment_pipeline.settings import Settings


def _train_once(settings: Settings, work: Work) -> None:
    """Train the models if one of them was never trained."""
    if _trained(settings):
        return
    from payment_pipeline.inference import training

    work(training.STEPS, 0)
    training.train(settings, lambda _step: work(0, 1))


def _trained(settings: Settings) -> bool:
    """Tell whether each model has a version to serve.

    Only names are read: importing the models takes seconds, at every start.
    """
    package = find_spec("payment_pipeline.inference.models")
    folder = package.submodule_search_locations if package else None
    names = [module.name for module in pkgutil.iter_modules(folder)]
    return all((var(settings) / "models" / name / "current").is_file() for name in names)


COMPONENT: Final = stage(
    "inference",
    order=30,
    port="inference_port",
    elsewhere="inference_url",
    prepare=_train_once,
    memory_mib=256,
)
