"""How a foreign table becomes lives: a small TOML or JSON file.

    [card]                       # what `card.json` will say; spaces as JSON objects
    title = "…"
    observation_space = { type = "Discrete", n = 1 }
    action_space = { type = "Discrete", n = 2 }

    [columns]                    # ours = theirs; whatever is not life, step, observation, action, reward, done is kept
    life = "person"              # numbers, or text: then lives are numbered from 1 in the order of the text;
                                 # several columns, as ["study", "person"], are joined to such a text
    action = { from = "key", values = { left = 0, right = 1 } }
    reward = "reward"
    block = "block"

    [derive]                     # all optional
    episode = "block"            # one of our columns: done on the last row of each of its runs
    best_action = { from = "better", equals = "yes" }  # of two actions, the one that was best; theirs marks its rows
    seconds = { from = "time", unit = 0.001, unit_of_life = { "p07" = 1.0 } }  # from the previous row of the episode

    before = { observation_2 = { of = "observation_0", first = 6 } }  # what the episode's previous row held, or `first`

    [keep]                       # optional: rows of which all of this holds; the others are as if never recorded
    rt = { above = 0.15 }        # their column; numbers above this

Without a `step` column, rows are numbered in their order within each life.
"""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .card import LivesCard
from .errors import LivesError


@dataclass(frozen=True)
class Source:
    """A column of the foreign table; `values` recodes what it holds."""

    column: str
    values: dict[str, float] | None = None


@dataclass(frozen=True)
class Before:
    """What our column `of` held in the previous row of the episode; `first` in an episode's first row."""

    of: str
    first: float


@dataclass(frozen=True)
class BestAction:
    """Rows where `column` equals `equals` took the better of two actions."""

    column: str
    equals: str


@dataclass(frozen=True)
class Clock:
    """A running clock in units of `unit` seconds; lives named in `unit_of_life` had another unit."""

    column: str
    unit: float = 1.0
    unit_of_life: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapping:
    """What `import_csv` does. `life`: columns that name a life; `keep`: what their numbers exceed, by column."""

    card: LivesCard
    life: tuple[str, ...]
    columns: dict[str, Source]
    episode: str | None = None
    best_action: BestAction | None = None
    seconds: Clock | None = None
    before: dict[str, Before] = field(default_factory=dict)
    keep: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Mapping":
        """Read a mapping; raise LivesError, naming file and entry, for what is not one."""
        try:
            text = path.read_text()
            form = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise LivesError(f"{path} cannot be read as TOML or JSON: {error}") from error
        return _mapping(form, path)


def _mapping(form: Any, path: Path) -> Mapping:
    _check_entries(form, {"card", "columns"}, {"derive", "keep"}, str(path))
    derive, columns = form.get("derive", {}), form["columns"]
    _check_entries(derive, set(), {"episode", "best_action", "seconds", "before"}, f"{path}: derive")
    _check_entries(columns, {"life", "action", "reward"}, None, f"{path}: columns")
    return Mapping(
        card=LivesCard.from_json(form["card"], f"{path}: card"),
        life=_life(columns["life"], f"{path}: columns.life"),
        columns={name: _source(entry, f"{path}: columns.{name}") for name, entry in columns.items() if name != "life"},
        episode=_name(derive["episode"], f"{path}: derive.episode") if "episode" in derive else None,
        best_action=_best_action(derive.get("best_action"), f"{path}: derive.best_action"),
        seconds=_clock(derive.get("seconds"), f"{path}: derive.seconds"),
        before=_before(derive.get("before", {}), f"{path}: derive.before"),
        keep=_keep(form.get("keep", {}), f"{path}: keep"),
    )


def _life(entry: Any, where: str) -> tuple[str, ...]:
    names = entry if isinstance(entry, list) else [entry]
    if not names or not all(isinstance(name, str) for name in names):
        raise LivesError(f"{where} is {entry!r}, not a column or a list of columns")
    return tuple(names)


def _source(entry: Any, where: str) -> Source:
    if isinstance(entry, str):
        return Source(entry)
    _check_entries(entry, {"from"}, {"values"}, where)
    values = _numbers(entry["values"], f"{where}.values") if "values" in entry else None
    return Source(_name(entry["from"], f"{where}.from"), values)


def _best_action(entry: Any, where: str) -> BestAction | None:
    if entry is None:
        return None
    _check_entries(entry, {"from", "equals"}, set(), where)
    return BestAction(_name(entry["from"], f"{where}.from"), str(entry["equals"]))


def _clock(entry: Any, where: str) -> Clock | None:
    if entry is None:
        return None
    _check_entries(entry, {"from"}, {"unit", "unit_of_life"}, where)
    units = _numbers(entry.get("unit_of_life", {}), f"{where}.unit_of_life")
    return Clock(_name(entry["from"], f"{where}.from"), _number(entry.get("unit", 1.0), f"{where}.unit"), units)


def _before(form: Any, where: str) -> dict[str, Before]:
    _check_entries(form, set(), None, where)
    for name, entry in form.items():
        _check_entries(entry, {"of", "first"}, set(), f"{where}.{name}")
    return {
        name: Before(_name(entry["of"], f"{where}.{name}.of"), _number(entry["first"], f"{where}.{name}.first"))
        for name, entry in form.items()
    }


def _keep(form: Any, where: str) -> dict[str, float]:
    _check_entries(form, set(), None, where)
    for name, entry in form.items():
        _check_entries(entry, {"above"}, set(), f"{where}.{name}")
    return {name: _number(entry["above"], f"{where}.{name}.above") for name, entry in form.items()}


def _name(entry: Any, where: str) -> str:
    if not isinstance(entry, str):
        raise LivesError(f"{where} is {entry!r}, not the name of a column")
    return entry


def _number(entry: Any, where: str) -> float:
    if not isinstance(entry, int | float):
        raise LivesError(f"{where} is {entry!r}, not a number")
    return entry


def _numbers(form: Any, where: str) -> dict[str, float]:
    _check_entries(form, set(), None, where)
    return {name: _number(entry, f"{where}.{name}") for name, entry in form.items()}


def _check_entries(form: Any, needed: set[str], allowed: set[str] | None, where: str) -> None:
    """`allowed` None: anything beside what is needed."""
    if not isinstance(form, dict):
        raise LivesError(f"{where} is {form!r}, not a table")
    if needed - set(form):
        raise LivesError(f"{where} misses {', '.join(sorted(needed - set(form)))}")
    if allowed is not None and set(form) - needed - allowed:
        raise LivesError(f"{where} has unknown entries: {', '.join(sorted(set(form) - needed - allowed))}")
