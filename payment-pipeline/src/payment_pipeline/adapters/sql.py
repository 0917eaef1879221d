"""Which named queries does a stage have? `.sql` files, each query under its `-- name:` line."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(package: str, file: str) -> Mapping[str, str]:
    """The queries of one file of a package by name; what is above the first name is for readers."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}
