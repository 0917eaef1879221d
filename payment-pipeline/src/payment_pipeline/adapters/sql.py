"""Reads named queries from `.sql` files; each query follows its `-- name:` line."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(package: str, file: str) -> Mapping[str, str]:
    """Return the queries of a package's file by name. Text above the first name is a comment."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}
