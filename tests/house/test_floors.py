"""The house stands: imports run downward alone, nothing lies beside the packages, nothing unpickles."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "plures": ROOT / "proto" / "plures",
    "plures_kernels": ROOT / "kernels" / "plures_kernels",
    "plures_students": ROOT / "students" / "plures_students",
    "plures_server": ROOT / "server" / "plures_server",
    "plures_client": ROOT / "clients" / "plures_client",
}
MAY_IMPORT = {
    "plures": {"plures"},
    "plures_kernels": {"plures_kernels"},
    "plures_students": {"plures_students", "plures_kernels"},
    "plures_server": {"plures_server", "plures_students", "plures_kernels", "plures"},
    "plures_client": {"plures_client", "plures"},
}
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imported(path: Path, package: str) -> Iterator[str]:
    """Every module that the file imports, in whatever function: `from . import x` counts as its own package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or package if node.level == 0 else package
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            yield from (part.value for part in node.args[:1] if isinstance(part, ast.Constant))


def floors(path: Path, package: str) -> set[str]:
    return {name.partition(".")[0] for name in imported(path, package)} & PACKAGES.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_upward(package: str) -> None:
    assert modules(package), f"{package} has no modules where this test looks"
    upward = {path.name: above for path in modules(package) if (above := floors(path, package) - MAY_IMPORT[package])}
    assert not upward


def test_an_upward_import_within_a_function_is_seen(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text(
        "def f():\n    from plures_server.pool import Pool\n    import plures_client.x as y\n"
    )
    assert floors(tmp_path / "lazy.py", "plures_kernels") == {"plures_server", "plures_client"}


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in PACKAGES.values()}))
def test_nothing_is_importable_beside_a_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
    beside = {path.stem for path in (ROOT / folder).glob("*.py")}
    # What builds the wire contract runs at install, and no wheel has it.
    assert beside <= ({"generate"} if folder == "proto" else set())


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_unpickles(package: str) -> None:
    for path in modules(package):
        assert not {name.partition(".")[0] for name in imported(path, package)} & UNPICKLERS, path
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [call.lineno for call in calls if ast.unparse(call.func) == "torch.load"], path
        assert not [call.lineno for call in calls if "allow_pickle" in {word.arg for word in call.keywords}], path


def test_the_client_needs_no_torch() -> None:
    code = "import sys, plures_client, plures_client.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "plures_client" in loaded
    assert not {"torch", "numba", "gymnasium", "redis", "plures_server", "plures_students", "plures_kernels"} & set(
        loaded
    )
