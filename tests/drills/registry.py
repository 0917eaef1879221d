"""The registry of drills: finds the modules of `catalogue` by name."""

import pkgutil
from importlib import import_module

from drills import catalogue
from drills.drill import Drill
from payment_pipeline.domain.failures import UserError


def names() -> list[str]:
    """List the names of all drills without importing them."""
    return [found.name.replace("_", "-") for found in pkgutil.iter_modules(catalogue.__path__)]


def drills(wanted: tuple[str, ...] = ()) -> dict[str, Drill]:
    """Import the drills with these names, or all drills, ordered by number.

    Raises:
        UserError: no drill has one of these names.
    """
    known = names()
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"Unknown drill: {', '.join(unknown)}. The drills are {', '.join(known)}.")
    found = {name: _drill(name) for name in wanted or known}
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def _drill(name: str) -> Drill:
    module = import_module(f"{catalogue.__name__}.{name.replace('-', '_')}")
    drill: Drill = module.DRILL
    return drill
