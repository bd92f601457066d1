"""The import rules of the architecture."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAML = sorted((ROOT / "leaml").rglob("*.py"))
APP = [ROOT / "app.py", *sorted((ROOT / "app").rglob("*.py"))]
PLAIN = ("errors", "records", "json_config", "config", "teacher.config", "prompts")


def imported(path):
    """Return the full names of the modules that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files_of(name):
    """Return a module's file, or all files of a package."""
    package = ROOT / "leaml" / name
    return sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]


def reaches(names, module):
    return any(name == module or name.startswith(module + ".") for name in names)


@pytest.mark.parametrize("path", LEAML, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_knows_neither_gradio_nor_the_app(path):
    assert not any(reaches(imported(path), module) for module in ("gradio", "app", "plotly", "assets", "tests"))


@pytest.mark.parametrize("path", APP, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_app_loads_no_torch(path):
    assert not any(reaches(imported(path), module) for module in ("torch", "transformers", "peft", "duckdb"))


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_import_only_plain_values(name):
    (path,) = files_of(name.replace(".", "/"))
    found = {module for module in imported(path) if module.startswith("leaml.")}
    assert all(any(reaches([module], f"leaml.{plain}") for plain in PLAIN) for module in found)


STAGES = ("pipeline", "stage_context", "worker", "snapshot", "evaluate", "models", "pairs", "training", "selective")


@pytest.mark.parametrize("path", [path for name in STAGES for path in files_of(name)], ids=lambda p: p.stem)
def test_stages_and_worker_never_touch_the_store(path):
    assert not reaches(imported(path), "leaml.store")


def test_background_runs_need_the_standard_library_only():
    for path in (ROOT / "leaml" / "jobs").glob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)}
        assert roots <= set(sys.stdlib_module_names) | {"leaml"}


def test_only_the_database_module_imports_duckdb():
    assert [path.name for path in LEAML if reaches(imported(path), "duckdb")] == ["database.py"]


SLOW = ("torch", "scipy.stats", "statsmodels")
"""A second and more each, and most starts need none of them."""


@pytest.mark.parametrize("code", ["import leaml", "import app.main"])
def test_what_is_slow_to_load_stays_unloaded(code):
    check = f"{code}; import sys; assert not sys.modules.keys() & {set(SLOW)!r}, 'slow ones were loaded'"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
