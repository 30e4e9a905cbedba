"""The student: embed → L × [memory, MLP] → head. Its memories' contents are the fast weights of one agent.

Shapes: B rows (agents or lives), T steps, D width, H heads, K key width, V value width, A actions, N pages.
"""

import math
from dataclasses import dataclass

import torch
from plures_kernels import gated_delta
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot, relu

from .config import StudentConfig
from .spaces import encode

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
    """A gated-delta memory a head: writes what it failed to predict, reads what it was asked (2412.06464, eq. 10)."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        heads, keys, values = config.heads, config.key_width, config.value_width
        self.heads = heads
        self.widths = [heads * keys, heads * keys, heads * values, heads, heads]
        self.norm = nn.RMSNorm(config.width)
        self.project = nn.Linear(config.width, sum(self.widths))
        self.merge = nn.Linear(heads * values, config.width, bias=False)
        self._init_gates()

    def _init_gates(self) -> None:
        """Spread the heads over time scales: half-lives of 7 steps, 70, … 70,000, and again, as training starts."""
        half_lives = 7.0 * 10.0 ** (torch.arange(self.heads) % 5)
        # logit(2^(-1/h)), written so that it does not round 1 - 2^(-1/h) away.
        decay_logits = -torch.log(torch.expm1(math.log(2) / half_lives))
        with torch.no_grad():
            self.project.bias[-2 * self.heads : -self.heads] = decay_logits

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """q, k [..., H, K], v [..., H, V], log decay and learning rate β [..., H] for x [..., D]."""
        q, k, v, decay, beta = self.project(self.norm(x)).split(self.widths, dim=-1)
        q, k, v = (z.unflatten(-1, (self.heads, -1)) for z in (q, k, v))
        return q, k, v, logsigmoid(decay), torch.sigmoid(beta)

    def scan(self, x_BTD: Tensor, state_BHVK: Tensor | None) -> tuple[Tensor, Tensor]:
        y_BTHV, state_BHVK = gated_delta.scan(*self.gates(x_BTD), state_BHVK)
        return self.merge(y_BTHV.flatten(-2)), state_BHVK

    def step(self, x_BD: Tensor, pool_NHVK: Tensor, read_B: Tensor, write_B: Tensor) -> Tensor:
        q, k, v, log_decay, beta = self.gates(x_BD)
        y_BHV = gated_delta.step(pool_NHVK, q, k, v, log_decay, beta, read_B, write_B)
        merged: Tensor = self.merge(y_BHV.flatten(-2))
        return merged


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
        self.memories = nn.ModuleList(Memory(config) for _ in range(config.layers))
        self.mlps = nn.ModuleList(Mlp(config.width, config.mlp_width) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.actions)

    def encode(self, inputs: Inputs) -> Tensor:
        """Inputs as float32 [..., input_width]."""
        reward = inputs.reward.unsqueeze(-1)
        action = one_hot(inputs.previous_action.long() + 1, self.config.actions + 1).float()
        done = inputs.done.float().unsqueeze(-1)
        observation = encode(self.config.observation_space, inputs.observation)
        return torch.cat([observation, action, action[..., 1:] * reward, reward, done], dim=-1)

    def forward(self, inputs: Inputs, states: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits [B, T, A] for the actions of whole lives, and the fast weights after them, [B, H, V, K] a layer.

        `states` are the fast weights before; None for newborns.
        """
        x_BTD = self.embed(self.encode(inputs))
        after = []
        for layer, (memory, mlp) in enumerate(zip(self.memories, self.mlps, strict=True)):
            y_BTD, state_BHVK = memory.scan(x_BTD, None if states is None else states[layer])  # type: ignore[operator]
            x_BTD = x_BTD + y_BTD
            x_BTD = x_BTD + mlp(x_BTD)
            after.append(state_BHVK)
        return self.head(self.norm(x_BTD)), after

    @torch.inference_mode()
    def step(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        """Logits [B, A] of one step of B agents; their fast weights go from pages `read_B` to pages `write_B`.

        pages: float32 [N, page_floats]. A row whose write is −1 is padding: it touches no page.
        """
        pool = pages.view(-1, *self.config.state_shape)
        x_BD = self.embed(self.encode(inputs))
        for layer, (memory, mlp) in enumerate(zip(self.memories, self.mlps, strict=True)):
            x_BD = x_BD + memory.step(x_BD, pool[:, layer], read_B, write_B)  # type: ignore[operator]
            x_BD = x_BD + mlp(x_BD)
        logits: Tensor = self.head(self.norm(x_BD))
        return logits
