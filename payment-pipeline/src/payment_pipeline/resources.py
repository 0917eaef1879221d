"""Folders of the repository that the product reads and that are no Python package.

The wheel holds a copy of each of them (`[tool.hatch.build.targets.wheel.sources]` in
`pyproject.toml`). In an editable install the folder of the checkout is read.
"""

from pathlib import Path
from typing import Final

_PACKAGED: Final = Path(__file__).with_name("resources_in_wheel")
_CHECKOUT: Final = Path(__file__).resolve().parents[3]


def folder(path: str) -> Path:
    """Returns the absolute path of a folder, given its path in the repository."""
    packaged = _PACKAGED / path
    return packaged if packaged.is_dir() else _CHECKOUT / path
