"""Students that count start as counters.

A student of rule `average` starts as a table of what each action paid on average, with how surely that is known: its
first memory's keys are the actions, its values their rewards, and its head prefers what mean and doubt speak for (the
upper confidence bounds of Lai & Robbins 1985 and Auer et al. 2002). All else starts small: the network on top has to be
learned as what is left.

H heads, K key channels, V value channels, D width, A actions, I encoded inputs.
"""

from typing import TYPE_CHECKING, cast

import torch

from ..config import StudentConfig
from .projections import by_name, soften_mlps

if TYPE_CHECKING:
    from ..model import Memory, Student

_SMALL = 0.1
_KEY = 3.0
_SURE = 4.0
"""The logit of the rate at which a token is written."""
_MEAN = 0.25
"""Of a reward, which the norm before a memory makes about four times as large."""
_GAIN = 2.0
_SHARP = 15.0
"""Logits a unit of mean or doubt."""


def can_start_at_averages(config: StudentConfig) -> bool:
    """Whether keys, values and width have room for the table."""
    room = config.actions <= config.key_width and 2 * config.actions <= config.value_width
    return config.rule == "average" and room and config.input_width + 2 * config.actions <= config.width


@torch.no_grad()
def start_at_averages(student: "Student") -> None:
    """Put a newly made student there; of the layers, the first holds the table."""
    config, table = student.config, cast("Memory", student.memories[0])
    inputs, actions = config.input_width, config.actions
    means = torch.arange(inputs, inputs + actions)
    doubts = means + actions
    student.embed.weight.mul_(_SMALL)[:inputs, :inputs] += torch.eye(inputs)
    student.embed.bias.zero_()
    soften_mlps(student, _SMALL)
    _write_table(table, config)
    merge_DV = table.merge.weight.mul_(_SMALL)
    merge_DV[means, torch.arange(actions)] += _GAIN
    merge_DV[doubts, torch.arange(actions, 2 * actions)] += _GAIN
    head_AD = student.head.weight.mul_(_SMALL)
    for places in (means, doubts):
        head_AD[torch.arange(actions), places] += _SHARP


def _write_table(memory: "Memory", config: StudentConfig) -> None:
    """The first head: keys that are the action before, and nothing of any other; values that are what it brought."""
    every = torch.arange(config.actions)
    acted = config.input_width - 2 * config.actions - 2 + every
    weight, bias = by_name(memory, memory.project.weight), by_name(memory, memory.project.bias)
    for name in ("q", "k", "v", "beta"):
        weight[name].mul_(_SMALL)
        bias[name].mul_(_SMALL)
    weight["k"][0, every, acted] += _KEY
    bias["k"][0] -= 1
    bias["q"][0, : config.actions] += _KEY
    weight["v"][0, every, acted + config.actions] += _MEAN
    bias["beta"].fill_(_SURE)
    doubt_HVK = memory.weights["doubt"].mul_(_SMALL)
    doubt_HVK[0, config.actions + every, every] += 1
