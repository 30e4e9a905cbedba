"""The `plures` command without a server."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from click.testing import CliRunner
from plures_client.cli import main
from plures_client.commands import added
from plures_client.commands.output import human_bytes

NO_SERVER = ["--server", "127.0.0.1:1"]


@pytest.fixture
def plures():
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def extra_commands(monkeypatch):
    """Pretend that packages add these commands."""

    def add(**homes):
        points = EntryPoints(EntryPoint(name, home, added.GROUP) for name, home in homes.items())
        monkeypatch.setattr(added, "entry_points", points.select)

    return add


def test_help_is_fast_because_it_imports_nothing_heavy():
    script = """
import sys
from click.testing import CliRunner
from plures_client.cli import main
result = CliRunner().invoke(main, ["--help"])
assert result.exit_code == 0 and "cohorts" in result.output, result.output
print(sorted({"grpc", "numpy", "torch", "rich", "plures_students", "plures_server"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["students"],
        ["tasks", "--json"],
        ["pool"],
        ["cohorts", "list"],
        ["cohorts", "start", "joe", "--student", "bandit", "--count", "1"],
        ["cohorts", "fork", "joe", "jim"],
        ["cohorts", "retire", "joe"],
        ["cohorts", "snapshot", "joe", "s"],
        ["cohorts", "restore", "s", "joe"],
        ["run", "joe", "bandit", "--steps", "1"],
        ["merge", "wiser", "joe", "jim:0-9", "--weight", "0.5"],
        ["become", "joe", "."],
        ["lineage", "joe"],
        ["snapshots", "list"],
        ["snapshots", "delete", "s"],
        ["snapshots", "download", "s", "never-made"],
        ["queue", "stats", "q"],
        ["queue", "results", "q"],
        ["queue", "delete", "q"],
    ],
)
def test_without_a_server_every_command_ends_with_one_sentence_and_status_1(plures, arguments):
    done = plures(*NO_SERVER, *arguments)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: no Plures server answers at 127.0.0.1:1 (Connection refused)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "joe", "bandit"], "--steps"),
        (["run", "joe", "bandit", "--steps", "0"], "0 is not in the range"),
        (["run", "joe", "bandit", "--steps", "1", "--param", "p_0"], "'p_0' is not of the form NAME=NUMBER"),
        (["run", "joe", "bandit", "--steps", "1", "--param", "p_0=high"], "'p_0=high' is not of the form"),
        (["cohorts", "retire", "joe", "--ordinals", "5-3"], "'5-3' is neither an ordinal"),
        (["cohorts", "retire", "joe", "--ordinals", "a"], "'a' is neither an ordinal"),
        (["merge", "wiser"], "COHORT[:RANGE]"),
        (["merge", "wiser", "joe:a"], "'a' is neither an ordinal"),
        (["merge", "wiser", "joe:1", "joe:2"], "a cohort is named more than once"),
        (["become", "joe", "no-such-file"], "'no-such-file' does not exist"),
        (["snapshots", "upload", "no-such-folder"], "'no-such-folder' does not exist"),
        (["cohorts", "start", "joe", "--student", "bandit", "--count", "0"], "0 is not in the range"),
        (["dance"], "No such command"),
    ],
)
def test_what_was_typed_wrong_is_said_with_status_2(plures, arguments, words):
    done = plures(*NO_SERVER, *arguments)

    assert done.exit_code == 2
    assert words in done.stderr


def test_the_server_may_be_named_by_the_environment(monkeypatch, plures):
    monkeypatch.setenv("PLURES_SERVER", "127.0.0.1:2")

    assert "127.0.0.1:2" in plures("pool").stderr


def test_a_command_of_another_package_runs(plures, extra_commands):
    extra_commands(usage="plures_client.commands.server:pool")

    assert "usage" in plures("--help").output
    assert "no Plures server answers" in plures(*NO_SERVER, "usage").stderr


def test_help_tells_what_an_added_command_does_without_importing_it(plures, extra_commands, tmp_path, monkeypatch):
    package = tmp_path / "added_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "commands.py").write_text("from .deep import dive")
    (package / "deep.py").write_text("def dive():\n    '''Go deep.\n\n    Very.\n    '''\n")
    monkeypatch.syspath_prepend(tmp_path)
    extra_commands(dive="added_package.commands:dive")

    assert "Go deep.\n" in plures("--help").output


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [("torch", "pip install 'plures[server]'"), ("matplotlib", "pip install 'plures[demo]'")],
)
def test_a_command_whose_packages_are_missing_says_which_extra_has_them(
    plures, extra_commands, tmp_path, monkeypatch, missing, remedy
):
    (tmp_path / f"needs_{missing}.py").write_text(f"import {missing}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    extra_commands(learn=f"needs_{missing}:learn")
    done = plures("learn")

    assert done.exit_code == 1
    assert done.stderr == f"Error: `plures learn` needs {missing}, which is not installed; install it with: {remedy}\n"


def test_a_fault_in_a_command_is_not_hidden(plures, extra_commands, tmp_path, monkeypatch):
    (tmp_path / "faulty.py").write_text("import click\n\n@click.command()\ndef burst():\n    raise ZeroDivisionError")
    monkeypatch.syspath_prepend(tmp_path)
    extra_commands(burst="faulty:burst")

    assert isinstance(plures("burst").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (4 * 2**30, "4.0 GiB"), (2**51, "2048.0 TiB")]
)
def test_bytes_are_told_in_units_people_read(count, text):
    assert human_bytes(count) == text
