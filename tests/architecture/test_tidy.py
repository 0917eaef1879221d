"""Style rules that every module of the product and of the tests must follow."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    ROOT / "payment-pipeline" / "src" / "payment_pipeline",
    ROOT / "infrastructure" / "local" / "src" / "local_stack",
    ROOT / "orchestration-dagster" / "src" / "orchestration_dagster",
    ROOT / "payment-pipeline" / "src" / "payment_operations",
)
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
TEST_MODULE_LINES_MAX = 700

READS_ENVIRONMENT = {"settings.py"}
STARTERS = (SOURCES[1], SOURCES[3])
"""Packages that read the environment only to pass it to the processes that they start."""

REGISTRIES = {"providers", "models", "components", "commands"}
"""Folders whose modules are found by listing them."""

PURE = ("domain", "providers")
CLOCKS = {"now", "utcnow", "time", "time_ns", "monotonic", "perf_counter", "today"}

modules = sorted(path for source in SOURCES for path in source.rglob("*.py"))
tests = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def is_pure(path: Path) -> bool:
    return path.is_relative_to(SOURCES[0]) and path.relative_to(SOURCES[0]).parts[0] in PURE


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_the_first_docstring_line_of_a_module_is_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, f"{name_of(path)} has no docstring"
    assert docstring.splitlines()[0].endswith((".", ":")), "the first line is a statement"


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_modules_and_functions_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MODULE_LINES_MAX, f"{name_of(path)} has {lines} lines"
    for function in functions(tree_of(path)):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{function.name} has {length} lines"


@pytest.mark.parametrize("path", tests, ids=name_of)
def test_test_modules_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= TEST_MODULE_LINES_MAX, f"{name_of(path)} has {lines} lines"


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_only_settings_reads_the_environment(path: Path) -> None:
    if path.name in READS_ENVIRONMENT or any(path.is_relative_to(each) for each in STARTERS):
        return
    named = {
        node.attr
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    assert not named & {"environ", "getenv", "putenv"}, f"{name_of(path)} reads the environment"


@pytest.mark.parametrize("path", [path for path in modules if is_pure(path)], ids=name_of)
def test_the_pure_core_has_no_clock_and_no_file(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = node.func
            attribute = called.attr if isinstance(called, ast.Attribute) else ""
            assert attribute not in CLOCKS, f"line {node.lineno} reads a clock"
            plain = called.id if isinstance(called, ast.Name) else ""
            assert plain != "open", f"line {node.lineno} opens a file"


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_only_resources_looks_for_files_outside_its_package(path: Path) -> None:
    """An installed wheel has other files around a package. Only `resources` may know them."""
    if path.name != "resources.py":
        assert not re.search(r"__file__\)[^\n]*\.parents?\b", path.read_text()), name_of(path)


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_no_pickle(path: Path) -> None:
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not imported & {"pickle", "cloudpickle", "joblib", "dill", "marshal"}


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_sql_lives_in_sql_files(path: Path) -> None:
    statement = re.compile(
        r"^\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|COPY|CREATE TABLE)\s", re.MULTILINE
    )
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = statement.search(node.value)
            lines = node.value.count("\n")
            assert not (found and lines > 1), (
                f"line {node.lineno} has a query: move it to a .sql file"
            )


def imports_of(path: Path) -> Iterator[str]:
    """Yield every dotted name that a module imports: `from a import b` as `a` and `a.b`."""
    source = next(source for source in SOURCES if path.is_relative_to(source))
    package = [source.name, *path.relative_to(source).parts[:-1]]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, node.module] if node.module else base)
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def test_no_module_is_dead() -> None:
    """Every module is imported by another module, found in a registry folder, or run by name."""
    imported = {name for path in modules for name in imports_of(path)}
    namers = ("Makefile", "pyproject.toml", f"{SOURCES[1]}/configuration/dagster/dagster.yaml")
    started = "\n".join(path.read_text() for path in [*modules, *(ROOT / each for each in namers)])
    for path in modules:
        source = next(source for source in SOURCES if path.is_relative_to(source))
        parts = [source.name, *path.relative_to(source).with_suffix("").parts]
        if parts[-1] in {"__init__", "__main__"} or parts[-2] in REGISTRIES:
            continue
        if "defs" in parts or parts[-1] == "definitions":
            continue
        if parts[-3:-2] == ["providers"] and parts[-1] == "books":  # `provider_books` finds it
            continue
        dotted = ".".join(parts)
        assert dotted in imported or dotted in started, f"nothing uses {name_of(path)}"


def test_no_two_modules_share_a_file_name() -> None:
    """A file name names the subject of its module, except in registry folders."""
    seen: dict[str, Path] = {}
    for path in modules:
        if path.stem in {"__init__", "__main__"} or path.parent.name in REGISTRIES:
            continue
        assert path.stem not in seen, f"{name_of(path)} and {name_of(seen[path.stem])}"
        seen[path.stem] = path
