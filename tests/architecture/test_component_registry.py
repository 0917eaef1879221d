"""Tests that a component is known to its own module alone, so that adding one touches one file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import local_stack
from local_stack.components import components

PACKAGE = Path(local_stack.__file__).parent
REGISTRY_FREE = (
    *("component", "files", "generated_secrets", "jars", "preflight", "process", "stack"),
    *("supervisor", "python_service", "jar_sbom", "jar_locks"),
)
"""The modules that work with every component alike."""
paths = [*(PACKAGE / f"{name}.py" for name in REGISTRY_FREE), PACKAGE / "components/__init__.py"]
NAME = re.compile(
    r"(?<![a-z])(" + "|".join(re.sub("-", "[-_]", name) for name in components()) + r")(?![a-z])"
)


def docstrings(tree: ast.Module) -> set[ast.expr]:
    """Texts that are a statement, so documentation."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def words(tree: ast.Module) -> Iterator[str]:
    """Every text and every identifier of a module, but not its documentation."""
    documentation = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in documentation:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str(module)):
                yield module
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


@pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_for_every_component_names_none(path: Path) -> None:
    named = {word for word in words(ast.parse(path.read_text())) if NAME.search(word.lower())}
    assert named == set()
