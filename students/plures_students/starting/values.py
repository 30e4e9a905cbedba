"""Students that bootstrap start as Q-learners.

A student of rule `td` starts as a table of what each action is worth where it is seen: the first head's keys are the
observations, its value channels the actions, of which it writes the one before; it is discounted but where an episode
ended, and chooses by what it reads. At which rate it learns, how far it looks, how greedily and how often at random it
chooses are middling at the start, whatever the teacher: they have to be found.

All else starts small: the network on top has to be learned as what is left. One channel is constant and large, so that
the norms divide by nearly the same number at all steps; what follows them is then as good as linear.

H heads, K key channels, V value channels, D width, A actions, O observations.
"""

from math import sqrt
from typing import TYPE_CHECKING, cast

import torch
from gymnasium.spaces import Discrete

from ..config import StudentConfig
from ..spaces import encoded_width
from .projections import by_name, soften_mlps

if TYPE_CHECKING:
    from ..model import Memory, Student

_SMALL = 0.1
_LEAST = 0.01
"""Of the network on top, whose words the head makes large."""
_LARGE = 300.0
"""Of what is embedded: steps of descent are as large for all weights, and these must keep their shape."""
_CONSTANT = 20.0
"""Times as large as an input."""
_GAIN = 0.25
"""Of what the memory tells, beside an input."""
_KEY = 4.0
_UNWRITTEN = -10.0
"""The logit of the rate at which values of other actions learn, and of the discount where an episode has ended."""
_UNHELD = -8.0
_LAPSE = -1.0
_PAID = 400.0
"""What a reward of one is written as, for the same reason."""
_SHARP = -3.0
"""The logarithm of how sharply the best value is told from the others, by what is written."""


def can_start_at_values(config: StudentConfig) -> bool:
    """Whether keys and width have room for the table, and values are those of the actions."""
    seen = encoded_width(config.observation_space)
    if config.rule != "td" or not isinstance(config.observation_space, Discrete) or not 0 < seen <= config.key_width:
        return False
    return config.value_width == config.actions and config.input_width + config.actions < config.width


@torch.no_grad()
def start_at_values(student: "Student") -> None:
    """Put a newly made student there; of the layers, the first holds the table."""
    config, table = student.config, cast("Memory", student.memories[0])
    inputs, every = config.input_width, torch.arange(config.actions)
    constant = inputs + config.actions
    # Nothing may look like a reward that is none.
    student.embed.weight.mul_(_SMALL)[: constant + 1] = _LARGE * torch.eye(constant + 1, inputs)
    student.embed.bias.zero_()[constant] = _LARGE * _CONSTANT
    soften_mlps(student, _LEAST)
    _write_table(table, config)
    table.norm.weight[constant] = 0
    table.merge.weight.mul_(_SMALL)[inputs:] = 0
    table.merge.weight[inputs + every, every] = _LARGE * _GAIN
    student.head.weight.zero_()[every, inputs + every] = 1 / (_GAIN * _after_norm(config))
    student.head.bias.zero_()


def _after_norm(config: StudentConfig) -> float:
    """What a norm makes of an input that is one."""
    return sqrt(config.width) / _CONSTANT


def _write_table(memory: "Memory", config: StudentConfig) -> None:
    """The first head: a key for each observation; the channel of the action before is written with its reward."""
    weight, bias = by_name(memory, memory.project.weight), by_name(memory, memory.project.bias)
    unit = _after_norm(config)
    seen, every = torch.arange(encoded_width(config.observation_space)), torch.arange(config.actions)
    reward, done = config.input_width - 2, config.input_width - 1
    for whole in (memory.project.weight, memory.project.bias):
        whole.mul_(_SMALL)
    weight["k"][0, seen, seen] += _KEY / unit
    bias["k"][0] -= 1
    # Where nothing was paid yet, all values are equal: nothing but rewards may tell them apart.
    weight["v"][0].zero_()[:, reward] = _PAID / unit
    bias["v"][0] = 0
    weight["beta"][0, every, len(seen) + 1 + every] -= _UNWRITTEN / unit
    bias["beta"][0] += _UNWRITTEN
    weight["discount"][0, done] += _UNWRITTEN / unit
    bias["hold"] += _UNHELD
    bias["lapse"] += _LAPSE
    for name in ("greed", "choice"):
        memory.weights[name].fill_(_SHARP)
