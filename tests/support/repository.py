"""The root folder of this repository, for tests and tools that read its files."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

TESTS: Final = ROOT / "tests"
"""The folder that `drills` and `support` are imported from."""


def importing_tests() -> dict[str, str]:
    """The environment variable that lets a child process import `drills` and `support`."""
    return {"PYTHONPATH": str(TESTS)}
