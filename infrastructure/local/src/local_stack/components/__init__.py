"""The components of the native stack: one module each, found by listing this folder.

To add a component, write `<name>.py` here with a `COMPONENT` (`local_stack.component`), and its
ports in `payment_pipeline.settings`. The supervisor, the checks of `payments doctor`, the generated
secrets, the order of starts and stops, and `payments status` follow from the `COMPONENT`.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from local_stack.component import GROUPS, PIPELINE, Component
from payment_pipeline.domain.failures import UserError


@cache
def components() -> Mapping[str, Component]:
    """Every component by its name, in its `order`."""
    found = [_component(module.name) for module in pkgutil.iter_modules(__path__)]
    return {each.name: each for each in sorted(found, key=lambda component: component.order)}


def component(name: str) -> Component:
    """One component. The others are not imported: a container has only what its own needs.

    Raises:
        UserError: there is no component of this name.
    """
    modules = {
        module.name.replace("_", "-"): module.name for module in pkgutil.iter_modules(__path__)
    }
    if name not in modules:
        raise UserError(f"No component {name}: there are {', '.join(modules)}.")
    return _component(modules[name])


def _component(module: str) -> Component:
    found: Component = import_module(f"{__name__}.{module}").COMPONENT
    return found


def chosen(only: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> tuple[Component, ...]:
    """The components to start.

    Args:
        only: names of components. The components that they need are added.
        groups: the groups to start with the pipeline, if `only` is empty.

    Raises:
        UserError: there is no component or no group of a given name.
    """
    known = components()
    if unknown := [name for name in only if name not in known]:
        raise UserError(f"No component {', '.join(unknown)}: there are {', '.join(known)}.")
    if unknown := [name for name in groups if name not in GROUPS]:
        raise UserError(f"No group {', '.join(unknown)}: there are {', '.join(GROUPS)}.")
    wanted = set(only)
    if not only:
        wanted = {each.name for each in known.values() if each.group in (PIPELINE, *groups)}
    pending = list(wanted)
    while pending:
        needed = set(known[pending.pop()].needs) - wanted
        wanted |= needed
        pending += needed
    return tuple(component for component in known.values() if component.name in wanted)


@cache
def called_by(name: str) -> frozenset[str]:
    """The components that a component needs or uses, directly or through others."""
    component = components()[name]
    directly = {*component.needs, *component.uses}
    return frozenset(directly.union(*map(called_by, directly)))
