"""The commands of `payments`, one module for each group of commands.

The folder is the registry: a module `commands/<group>.py` with an `app` and a `PANEL` is a group.
An `app` with a name is a command that has subcommands (`payments dlq list`); the commands of an
`app` without a name stand at the top (`payments up`). A command is thin: it reads the settings and
its options, and calls the module that does the work. It imports that module only when it runs, so
that `payments --help` is fast, and so that a command works in an installation without the packages
that only other commands need.
"""

import pkgutil
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from typing import Protocol, cast

import typer


class Panel(Enum):
    """The headings of `payments --help`, in their order."""

    STACK = "Run the pipeline"
    PROOF = "Prove and trace"
    REPAIR = "Answer, repair, restore, erase"
    LAKEHOUSE = "Lake and marts"
    DATA = "Simulate and train"
    DOCUMENTS = "Generated documents"


class Group(Protocol):
    """What a module of this folder offers."""

    app: typer.Typer
    PANEL: Panel


def groups() -> Iterator[Group]:
    """Every group found in this folder, in the order of the help: subcommands after commands."""
    found = [
        cast("Group", import_module(f"{__name__}.{each.name}"))
        for each in pkgutil.iter_modules(__path__)
    ]
    order = list(Panel)
    yield from sorted(
        found, key=lambda group: (order.index(group.PANEL), isinstance(group.app.info.name, str))
    )
