"""What kind of student: the element of the family, up to its slow weights."""

import math
from dataclasses import dataclass
from typing import Any

from gymnasium.spaces import Discrete, MultiDiscrete, Space
from plures_kernels import RULES
from plures_kernels.errors import InvalidArgument

from .spaces import encoded_width, space_from_json, space_to_json

MAX_WIDTH = 4096
MAX_THINK = 64
HIDDEN_PER_KEY = 4
"""Hidden units of a two-layer memory for each key channel, as in TTT-MLP (arXiv:2407.04620, §2.4)."""
WIDTH_STEP = 16
"""Rows of so many floats start alike in the registers of a processor: matrix products then round every row alike, and
an agent's life does not depend on its place in a batch.
"""


@dataclass(frozen=True)
class StudentConfig:
    """Spaces and sizes. The defaults give a page of 4 KiB: 2 layers × 2 heads × 16 × 16 float32.

    `rule` is one of `plures_kernels.RULES`; `inner_steps`: of a rule that makes several a token; `window`: tokens that
    a rule attends to which keeps those themselves. `think`: silent steps, in which nothing is perceived, before each
    action.
    """

    observation_space: Space[Any]
    action_space: Discrete
    rule: str = "gated_delta"
    width: int = 32
    layers: int = 2
    heads: int = 2
    key_width: int = 16
    value_width: int = 16
    mlp_width: int = 64
    inner_steps: int = 2
    window: int = 64
    think: int = 0

    def __post_init__(self) -> None:
        if type(self.rule) is not str or self.rule not in RULES:
            raise InvalidArgument(f"rule {self.rule!r} is not one of {', '.join(RULES)}")
        if not isinstance(self.action_space, Discrete):
            raise InvalidArgument(f"action space {self.action_space} is not Discrete; students choose among n actions")
        for name in _SPACES:
            space_to_json(getattr(self, name))  # refuses what could not be saved
        for name in _SIZES:
            if not 1 <= getattr(self, name) <= MAX_WIDTH:
                raise InvalidArgument(f"{name} {getattr(self, name)} is not in 1 … {MAX_WIDTH}")
        if not 0 <= self.think <= MAX_THINK:
            raise InvalidArgument(f"think {self.think} is not in 0 … {MAX_THINK}")
        if self.width % WIDTH_STEP:
            raise InvalidArgument(f"width {self.width} is not a multiple of {WIDTH_STEP}")

    @property
    def actions(self) -> int:
        return int(self.action_space.n)

    @property
    def observation_size(self) -> int | None:
        """How many different observations there are; None when they are not countable."""
        space = self.observation_space
        if isinstance(space, Discrete):
            return int(space.n)
        return math.prod(space.nvec.ravel().tolist()) if isinstance(space, MultiDiscrete) else None

    @property
    def extents(self) -> dict[str, int]:
        """The extent of each axis that a rule's inputs and state may have."""
        keys = self.key_width
        hidden = HIDDEN_PER_KEY * keys
        return {"H": self.heads, "K": keys, "V": self.value_width, "J": self.inner_steps, "F": hidden, "W": self.window}

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Fast weights of an agent: [layers, heads, floats of a head's state], float32."""
        return self.layers, self.heads, RULES[self.rule].spec.state_floats(self.extents)

    @property
    def page_floats(self) -> int:
        return math.prod(self.state_shape)

    @property
    def input_width(self) -> int:
        """Encoded width of (observation, previous action or none, reward, reward by action, done)."""
        return encoded_width(self.observation_space) + 2 * self.actions + 3

    def to_json(self) -> dict[str, Any]:
        sizes = {name: getattr(self, name) for name in (*_SIZES, "think")}
        spaces = {name: space_to_json(getattr(self, name)) for name in _SPACES}
        return {"rule": self.rule, **spaces, **sizes}

    @classmethod
    def from_json(cls, form: object) -> "StudentConfig":
        """The config that `to_json` gave; raise InvalidArgument on a missing, extra or ill-typed entry."""
        if not isinstance(form, dict) or set(form) != {"rule", "think", *_SPACES, *_SIZES}:
            known = ", ".join(("rule", "think") + _SPACES + _SIZES)
            raise InvalidArgument(f"a student config has the entries {known}; got {form!r}")
        for name in (*_SIZES, "think"):
            if type(form[name]) is not int:
                raise InvalidArgument(f"{name} {form[name]!r} is not a whole number")
        return cls(**{**form, **{name: space_from_json(form[name]) for name in _SPACES}})


_SPACES = ("observation_space", "action_space")
_SIZES = ("width", "layers", "heads", "key_width", "value_width", "mlp_width", "inner_steps", "window")
