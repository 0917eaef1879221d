"""The inference service: scores events with the trained models."""

import pkgutil
from importlib.util import find_spec
from typing import Final

from local_stack.component import Component, Work
from local_stack.files import var
from local_stack.python_service import command_of, readiness_at
from payment_pipeline.settings import Settings


def _address(settings: Settings) -> str:
    return settings.inference


def prepare(settings: Settings, work: Work) -> None:
    """Train the models when one of them has no version yet."""
    if trained(settings):
        return
    from payment_pipeline.inference import training

    work(training.STEPS, 0)
    training.train(settings, lambda _step: work(0, 1))


def trained(settings: Settings) -> bool:
    """Whether each model has a version to serve.

    The models are listed without an import: their code takes seconds to load, at every start.
    """
    package = find_spec("payment_pipeline.inference.models")
    folder = package.submodule_search_locations if package else None
    names = [module.name for module in pkgutil.iter_modules(folder)]
    return all((var(settings) / "models" / name / "current").is_file() for name in names)


COMPONENT: Final = Component(
    name="inference",
    order=30,
    command=command_of("payment_pipeline.inference"),
    ready=readiness_at(_address),
    address=_address,
    ports=("inference_port",),
    prepare=prepare,
    elsewhere=("inference_url",),
    secrets=("inference_token",),
    generated_secrets=("inference_token",),
    memory_mib=256,
)
