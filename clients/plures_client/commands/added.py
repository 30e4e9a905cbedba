"""Commands that installed packages add to `plures`: entry points of the group `plures.commands`, loaded when called."""

import ast
import re
from importlib.metadata import EntryPoint, entry_points, requires
from importlib.util import find_spec, resolve_name
from pathlib import Path

import click

GROUP = "plures.commands"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+).*;.*extra == [\"'](?P<extra>\w+)[\"']")


def added_commands() -> list[str]:
    """Their names."""
    return list(entry_points(group=GROUP).names)


def load_added(name: str) -> click.Command | None:
    """The command of that name, None when there is none.

    Raises:
        click.ClickException: what it needs is not installed; the message says how to get it.
    """
    point = _point(name)
    if point is None:
        return None
    try:
        command = point.load()
    except ModuleNotFoundError as error:
        raise click.ClickException(what_is_missing(name, error.name or str(error))) from error
    assert isinstance(command, click.Command)
    return command


def summary_of(name: str) -> str:
    """The first line of a command's docstring, read from its source without importing it."""
    point = _point(name)
    return _first_line(point.module, point.attr) if point else ""


def _first_line(module: str, function: str) -> str:
    path = _source(module)
    if path is None:
        return ""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return (ast.get_docstring(node) or "").partition("\n")[0]
        if isinstance(node, ast.ImportFrom) and function in [alias.name for alias in node.names]:
            return _first_line(resolve_name("." * node.level + (node.module or ""), package), function)
    return ""


def _point(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


def _source(module: str) -> Path | None:
    """Where a module's source is, found without importing the packages around it."""
    top, *inner = module.split(".")
    spec = find_spec(top)
    for location in (spec and spec.submodule_search_locations) or ():
        path = Path(location, *inner)
        for source in (path.with_suffix(".py"), path / "__init__.py"):
            if source.is_file():
                return source
    return None


def what_is_missing(command: str, module: str) -> str:
    """That a command needs a module, and how to get it."""
    extra = _extra_with(module)
    remedy = f"install it with: pip install 'plures[{extra}]'" if extra else "install the package that has it"
    return f"`plures {command}` needs {module}, which is not installed; {remedy}"


def _extra_with(module: str) -> str | None:
    wanted = module.partition(".")[0].replace("_", "-")
    found = [REQUIREMENT.match(requirement) for requirement in requires("plures") or ()]
    extras = [each["extra"] for each in found if each and each["name"].replace("_", "-") == wanted]
    return "server" if "server" in extras else next(iter(extras), None)
