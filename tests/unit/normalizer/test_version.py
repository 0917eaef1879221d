"""The normalizer's version changes with the code that normalizes events, and only with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import payment_pipeline
from payment_pipeline.normalizer import version
from payment_pipeline.normalizer.version import normalizer_version, sources

PACKAGE = Path(payment_pipeline.__file__).parent


def test_the_version_is_the_release_and_a_hash() -> None:
    release, _, digest = normalizer_version().partition("+")
    assert release
    assert len(bytes.fromhex(digest)) * 2 == version.DIGEST_CHARACTERS
    assert normalizer_version() == normalizer_version.__wrapped__()


@pytest.mark.parametrize(
    "path", ["providers/stripe/money.py", "domain/currency.py", "normalizer/step.py"]
)
def test_changed_code_has_another_version(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sources()
    assert path in dict(found)
    edited = [(name, content + b"\n" * (name == path)) for name, content in found]
    monkeypatch.setattr(version, "sources", lambda: edited)
    assert normalizer_version.__wrapped__() != normalizer_version()


def test_moved_code_has_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = [(f"{name}x", content) for name, content in sources()]
    monkeypatch.setattr(version, "sources", lambda: renamed)
    assert normalizer_version.__wrapped__() != normalizer_version()


def test_all_code_that_normalizes_events_is_hashed() -> None:
    """Modules of the pipeline that a hashed file imports are hashed too."""
    hashed = {name for name, _ in sources()}
    for name in hashed:
        if name.endswith(".py"):
            for module in _imported(PACKAGE / name, name):
                where = module.replace(".", "/")
                assert {f"{where}.py", f"{where}/__init__.py"} & hashed, f"{name}: {module}"


def _imported(path: Path, name: str) -> Iterator[str]:
    """Yield the pipeline's modules that a file imports, without the package's name."""
    folder = Path(name).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
        elif (node.module or "").split(".")[0] == "payment_pipeline":
            base = (node.module or "").split(".")[1:]
        else:
            continue
        at = "/".join(part for part in base if part)
        for alias in node.names:
            is_module = (PACKAGE / at / f"{alias.name}.py").exists() or (
                PACKAGE / at / alias.name
            ).is_dir()
            yield f"{at}/{alias.name}" if is_module else at
