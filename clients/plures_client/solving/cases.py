"""Problems by name, and the ways to work on each, all of which cost as many steps of copies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

from ..errors import InvalidArgument
from . import best_arm, branches, exploration, goal_search, minimise, portfolio
from .plan import Budget, Plan

Settings: TypeAlias = Mapping[str, Any]
Way: TypeAlias = Callable[[Budget, Settings], Plan]


@dataclass(frozen=True)
class Case:
    """A problem: what may be set of it, and the ways to work on it; the first is one copy alone.

    `quality` of an answer, of which `unit` says what it is: higher is better. `is_right`: whether an answer holds what
    it says. `regret`: what a mean quality leaves to be wished, for laws. `swept`: the way that laws are fitted of.
    `chance`: the quality to be expected of whoever acts at random, where that can be computed.
    """

    task: str
    settings: Settings
    ways: Mapping[str, Way]
    quality: Callable[[Any], float]
    is_right: Callable[[Any], bool]
    unit: str
    regret: Callable[[float], float]
    swept: str
    chance: Callable[[Budget, Settings], float] | None = None

    def plan(self, way: str, budget: Budget, given: Mapping[str, str]) -> Plan:
        """One way, with settings as people type them; raise InvalidArgument for what is not known."""
        if way not in self.ways:
            raise InvalidArgument(f"no strategy {way!r} for this problem; it has {', '.join(self.ways)}")
        return self.ways[way](budget, self.read(given))

    def read(self, given: Mapping[str, str]) -> Settings:
        """All settings, those that are not given as they are by default; raise InvalidArgument as `plan` does."""
        if unknown := [name for name in given if name not in self.settings]:
            known = ", ".join(f"{name}={value}" for name, value in self.settings.items())
            raise InvalidArgument(f"the problem has no setting {unknown[0]!r}; it has {known}")
        return {name: _typed(name, given.get(name), default) for name, default in self.settings.items()}


def _typed(name: str, text: str | None, default: Any) -> Any:
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        raise InvalidArgument(f"{name} {text!r} is not of type {type(default).__name__}") from None
    if isinstance(value, int) and value < 0:
        raise InvalidArgument(f"{name} {value} given; it is at least 0")
    return value


def _case(part: ModuleType) -> Case:
    named = part.TASK, part.SETTINGS, part.WAYS, part.quality, part.is_right, part.UNIT, part.regret, part.SWEPT
    return Case(*named, chance=getattr(part, "chance", None))


CASES: dict[str, Case] = {
    "best-arm": _case(best_arm),
    "branches": _case(branches),
    "exploration": _case(exploration),
    "goal-search": _case(goal_search),
    "minimise": _case(minimise),
    "portfolio": _case(portfolio),
}
