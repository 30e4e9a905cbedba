"""How a foreign table becomes lives: a small TOML or JSON file.

    [card]                       # what `card.json` will say; spaces as JSON objects
    title = "…"
    observation_space = { type = "Discrete", n = 1 }
    action_space = { type = "Discrete", n = 2 }

    [columns]                    # ours = theirs; whatever is not life, step, observation, action, reward, done is kept
    life = "person"              # numbers, or text: then lives are numbered from 1 in the order of the text
    action = { from = "key", values = { left = 0, right = 1 } }
    reward = "reward"
    block = "block"

    [derive]                     # all optional
    episode = "block"            # one of our columns: done on the last row of each of its runs
    best_action = { from = "better", equals = "yes" }  # of two actions, the one that was best; theirs marks its rows
    seconds = { from = "time", unit = 0.001, unit_of_life = { "p07" = 1.0 } }  # from the previous row of the episode

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
    """What `import_csv` does."""

    card: LivesCard
    columns: dict[str, Source]
    episode: str | None = None
    best_action: BestAction | None = None
    seconds: Clock | None = None

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
    _check_entries(form, {"card", "columns"}, {"derive"}, str(path))
    derive = form.get("derive", {})
    _check_entries(derive, set(), {"episode", "best_action", "seconds"}, f"{path}: derive")
    _check_entries(form["columns"], {"life", "action", "reward"}, None, f"{path}: columns")
    return Mapping(
        card=LivesCard.from_json(form["card"], f"{path}: card"),
        columns={name: _source(entry, f"{path}: columns.{name}") for name, entry in form["columns"].items()},
        episode=derive.get("episode"),
        best_action=_best_action(derive.get("best_action"), f"{path}: derive.best_action"),
        seconds=_clock(derive.get("seconds"), f"{path}: derive.seconds"),
    )


def _source(entry: Any, where: str) -> Source:
    if isinstance(entry, str):
        return Source(entry)
    _check_entries(entry, {"from"}, {"values"}, where)
    return Source(entry["from"], entry.get("values"))


def _best_action(entry: Any, where: str) -> BestAction | None:
    if entry is None:
        return None
    _check_entries(entry, {"from", "equals"}, set(), where)
    return BestAction(entry["from"], str(entry["equals"]))


def _clock(entry: Any, where: str) -> Clock | None:
    if entry is None:
        return None
    _check_entries(entry, {"from"}, {"unit", "unit_of_life"}, where)
    return Clock(entry["from"], entry.get("unit", 1.0), entry.get("unit_of_life", {}))


def _check_entries(form: Any, needed: set[str], allowed: set[str] | None, where: str) -> None:
    """`allowed` None: anything beside what is needed."""
    if not isinstance(form, dict):
        raise LivesError(f"{where} is {form!r}, not a table")
    if needed - set(form):
        raise LivesError(f"{where} misses {', '.join(sorted(needed - set(form)))}")
    if allowed is not None and set(form) - needed - allowed:
        raise LivesError(f"{where} has unknown entries: {', '.join(sorted(set(form) - needed - allowed))}")
