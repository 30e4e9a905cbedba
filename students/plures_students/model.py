"""The student: embed → L × [memory, MLP] → head. Its memories' contents are the fast weights of one agent.

Shapes: B rows (agents or lives), T steps, D width, H heads, K key width, V value width, S floats of a
head's state, A actions, N pages.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from plures_kernels import RULES, Kind
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot, relu

from .config import StudentConfig
from .spaces import encode
from .starting import start

# How the slow weights' numbers become inputs of each kind.
RANGES: dict[Kind, Callable[[Tensor], Tensor]] = {
    Kind.ANY: lambda x: x,
    Kind.DIRECTION: lambda x: x,
    Kind.LOG_DECAY: logsigmoid,
    Kind.RATE: torch.sigmoid,
}
NO_ACTION = -1
"""Stands for the previous action of an agent that has not acted yet."""


@dataclass(frozen=True)
class Inputs:
    """What learners perceive at a step: leading axes [B] when serving, [B, T] in training.

    observation: elements of the observation space. previous_action: int, NO_ACTION at birth. reward: float32, for the
    previous action. done: bool or uint8, whether the previous action ended an episode.
    """

    observation: Tensor
    previous_action: Tensor
    reward: Tensor
    done: Tensor


class Memory(nn.Module):
    """A memory a head, of any rule: keeps what it is told, by a rule whose rates and keys the slow weights choose."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.rule, extents = RULES[config.rule], config.extents
        shapes = {inp: [extents[axis] for axis in inp.axes] for inp in self.rule.spec.inputs}
        self.tokens = {inp: shape for inp, shape in shapes.items() if inp.kind is not Kind.WEIGHT}
        self.weights = nn.ParameterDict(
            {inp.name: inp.initialize(torch.empty(shape)) for inp, shape in shapes.items() if inp not in self.tokens}
        )
        self.norm = nn.RMSNorm(config.width)
        self.project = nn.Linear(config.width, sum(self.widths))
        self.merge = nn.Linear(config.heads * config.value_width, config.width, bias=False)
        self._spread_decays()

    @property
    def widths(self) -> list[int]:
        """Of each token input, over all heads."""
        return [math.prod(shape) for shape in self.tokens.values()]

    def inputs(self, x: Tensor) -> list[Tensor]:
        """What the rule is given for x [..., D]: tokens [..., H, …] in their ranges, and weights."""
        projected = torch.split(self.project(self.norm(x)), self.widths, dim=-1)
        tokens = {
            inp.name: RANGES[inp.kind](z.reshape(*z.shape[:-1], *shape))
            for z, (inp, shape) in zip(projected, self.tokens.items(), strict=True)
        }
        return [tokens[inp.name] if inp in self.tokens else self.weights[inp.name] for inp in self.rule.spec.inputs]

    def scan(self, x_BTD: Tensor, state_BHS: Tensor | None) -> tuple[Tensor, Tensor]:
        y_BTHV, state_BHS = self.rule.scan(self.inputs(x_BTD), state_BHS)
        return self.merge(y_BTHV.flatten(-2)), state_BHS

    def step(self, x_BD: Tensor, pool_NHS: Tensor, read_B: Tensor, write_B: Tensor) -> Tensor:
        y_BHV = self.rule.step(pool_NHS, self.inputs(x_BD), read_B, write_B)
        merged: Tensor = self.merge(y_BHV.flatten(-2))
        return merged

    def _spread_decays(self) -> None:
        """Spread the heads over time scales: half-lives of 7 steps, 70, … 70,000, and again, as training starts."""
        biases = dict(zip((inp.name for inp in self.tokens), torch.split(self.project.bias, self.widths), strict=True))
        if "log_decay" not in biases:
            return
        heads = next(shape[0] for inp, shape in self.tokens.items() if inp.name == "log_decay")
        half_lives = 7.0 * 10.0 ** (torch.arange(heads) % 5)
        # logit(2^(-1/h)), written so that it does not round 1 - 2^(-1/h) away.
        logits = -torch.log(torch.expm1(math.log(2) / half_lives))
        with torch.no_grad():
            biases["log_decay"].view(heads, -1).copy_(logits[:, None])


class Mlp(nn.Module):
    """RMSNorm → two-layer network of squared ReLUs (2109.08668): as good as GELU, and cheap on any processor."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(relu(self.up(self.norm(x))).square())
        return y


class Student(nn.Module):
    """Slow weights of one member of the family. Nothing in here changes while agents live; their pages do."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.input_width, config.width)
        self.thoughts = nn.Parameter(torch.randn(config.think, config.width) / math.sqrt(config.width))
        self.memories = nn.ModuleList(Memory(config) for _ in range(config.layers))
        self.mlps = nn.ModuleList(Mlp(config.width, config.mlp_width) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.actions)
        start(self)

    def encode(self, inputs: Inputs) -> Tensor:
        """Inputs as float32 [..., input_width]."""
        reward = inputs.reward.unsqueeze(-1)
        action = one_hot(inputs.previous_action.long() + 1, self.config.actions + 1).float()
        done = inputs.done.float().unsqueeze(-1)
        observation = encode(self.config.observation_space, inputs.observation)
        return torch.cat([observation, action, action[..., 1:] * reward, reward, done], dim=-1)

    def forward(self, inputs: Inputs, states: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [B, T, A] for the actions of whole lives, and the fast weights after them, [B, H, S] a layer.

        `states` are the fast weights before; None for newborns.
        """
        x_BTD, after = self.scan(self.embed(self.encode(inputs)), states)
        return self.head(x_BTD), after

    def scan(self, x_BTD: Tensor, states: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """From embedded steps [B, T, D] to what the head reads, [B, T, D], and the fast weights after them."""
        x_BTD, after = self._with_thoughts(x_BTD), []
        for layer, (memory, mlp) in enumerate(zip(self.memories, self.mlps, strict=True)):
            y_BTD, state_BHS = memory.scan(x_BTD, None if states is None else states[layer])  # type: ignore[operator]
            x_BTD = x_BTD + y_BTD
            x_BTD = x_BTD + mlp(x_BTD)
            after.append(state_BHS)
        # Acts come after the last thought of a step.
        return self.norm(x_BTD[:, self.config.think :: 1 + self.config.think]), after

    @torch.inference_mode()
    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        """Logits [B, A] of one step of B agents; their fast weights go from pages `read_B` to pages `write_B`.

        pages: float32 [N, page_floats]. A row whose write is −1 is padding: it touches no page.
        """
        logits: Tensor = self.head(self.advance(pages, read_B, write_B, self.embed(self.encode(inputs))))
        return logits

    def advance(self, pages: Tensor, read_B: Tensor, write_B: Tensor, x_BD: Tensor) -> Tensor:
        """As `step`, from embedded inputs [B, D] to what the head reads, [B, D]."""
        pool = pages.view(-1, *self.config.state_shape)
        x_BD = self._layers(pool, read_B, write_B, x_BD)
        for thought_D in self.thoughts:
            x_BD = self._layers(pool, write_B, write_B, thought_D.expand(len(write_B), -1))
        read: Tensor = self.norm(x_BD)
        return read

    def _layers(self, pool: Tensor, read_B: Tensor, write_B: Tensor, x_BD: Tensor) -> Tensor:
        for layer, (memory, mlp) in enumerate(zip(self.memories, self.mlps, strict=True)):
            x_BD = x_BD + memory.step(x_BD, pool[:, layer], read_B, write_B)  # type: ignore[operator]
            x_BD = x_BD + mlp(x_BD)
        return x_BD

    def _with_thoughts(self, x_BTD: Tensor) -> Tensor:
        """Each step followed by its silent ones, in which the same thoughts are embedded at all times."""
        if not self.config.think:
            return x_BTD
        thoughts_BTJD = self.thoughts.expand(*x_BTD.shape[:2], -1, -1)
        return torch.cat([x_BTD[:, :, None], thoughts_BTJD], dim=2).flatten(1, 2)
