"""Which drills are there? The modules of `catalogue`, by name."""

import pkgutil
from importlib import import_module

from drills import catalogue
from drills.drill import Drill
from payment_pipeline.domain.failures import UserError


def names() -> list[str]:
    """Every drill's name; none is imported."""
    return [found.name.replace("_", "-") for found in pkgutil.iter_modules(catalogue.__path__)]


def drills(wanted: tuple[str, ...] = ()) -> dict[str, Drill]:
    """The drills of these names, or all of them, in the order of their numbers.

    Raises:
        UserError: a name is no drill's.
    """
    known = names()
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"No drill {', '.join(unknown)}: there are {', '.join(known)}.")
    found = {name: _drill(name) for name in wanted or known}
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def _drill(name: str) -> Drill:
    module = import_module(f"{catalogue.__name__}.{name.replace('-', '_')}")
    drill: Drill = module.DRILL
    return drill
