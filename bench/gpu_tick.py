"""Whole ticks on a device: perceive, step, choose, and the bandits beside the agents, in one CUDA graph or launched.

Agents are stepped in tiles of several sizes: small ones stay in the cache between layers, large ones launch less.
Without a GPU the same runs at toy sizes in Triton's interpreter and is compared with plain PyTorch; a prediction is
what bytes and flops say.

B agents, R rows of a tile, A actions.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from gpu_clock import graph_seconds, seconds
from gymnasium.spaces import Discrete
from plures_server.tasks import get_task
from plures_students.config import StudentConfig
from plures_students.model import NO_ACTION, Inputs, Student
from plures_students.sampling import sample
from torch import Tensor, nn

# Heads and width of two layers: pages of 4 and of 64 KiB.
SIZES = ((2, 16), (2, 64))
AGENTS = (1_000, 16_000, 256_000, 1_000_000)
TILES = (4_096, 65_536, 1_048_576)
TOY_AGENTS, TOY_TILES = 3, (2, 8)
RATES = torch.tensor([[0.25, 0.05]])
FLOAT = 4
AGENT_BYTES = 2 * (8 + 8 + 4 + 4) + 2 * 6 * 4
"""Slot, seed, step, last action, reward and counts of its bandit, read and written."""

FLOPS_A_STATE_FLOAT = 7
"""Decay, recall by the key, write, recall by the query."""
H200_FLOPS = 67e12
"""float32, without tensor cores."""


@dataclass(frozen=True)
class TickRow:
    """One tick of all agents, in µs; None where nothing was timed.

    `predicted_us`: what bytes take at the rate of copying, or flops at an H200's without tensor cores, whichever is
    longer. It leaves out what the layers' activations cost on their way through memory.
    """

    page_bytes: int
    agents: int
    tile: int
    bytes: int
    flops: int
    predicted_us: float | None = None
    us: float | None = None
    graph_us: float | None = None

    @property
    def ticks_per_second(self) -> float | None:
        times = [us for us in (self.us, self.graph_us) if us is not None]
        return 1e6 / min(times) if times else None


class DeviceTick:
    """Agents and bandits in buffers that stay where they are, so that a graph can hold a tick."""

    def __init__(self, student: Student, agents: int, tile: int) -> None:
        device = next(student.parameters()).device
        self._student, self._tile = student, tile
        self.pages = torch.zeros(agents, student.config.page_floats, device=device)
        self._slot_B = torch.randperm(agents, device=device)
        self._seed_B = torch.arange(agents, device=device)
        self._step_B = torch.zeros(agents, dtype=torch.long, device=device)
        self._action_B = torch.full((agents,), NO_ACTION, dtype=torch.int32, device=device)
        self._reward_B = torch.zeros(agents, device=device)
        self._done_B = torch.zeros(agents, device=device)
        rates = RATES.to(device).expand(agents, 2).contiguous()
        self.episode = get_task("bandit").begin(rates, self._seed_B, torch.full_like(self._step_B, 1_000_000))

    @torch.inference_mode()
    def tick(self) -> None:
        """One step of every agent and its bandit."""
        for first in range(0, len(self.pages), self._tile):
            self._tile_of(slice(first, min(first + self._tile, len(self.pages))))

    def _tile_of(self, rows: slice) -> None:
        seen = self.episode.observation(rows), self._action_B[rows], self._reward_B[rows], self._done_B[rows]
        slot_R = self._slot_B[rows]
        logits_RA = self._student.step(self.pages, slot_R, slot_R, Inputs(*seen))
        action_R = sample(logits_RA, self._seed_B[rows], self._step_B[rows])
        # A graph has one tick number; which it is does not change the work.
        self._reward_B[rows] = self.episode.step(rows, action_R, 0)
        self._action_B[rows] = action_R
        self._step_B[rows] += 1

    def states(self) -> Tensor:
        """In the order of the agents."""
        return self.pages[self._slot_B]

    def summary(self) -> Tensor:
        return self.episode.summary()


def students() -> Iterator[Student]:
    """Of every size, of weights that nobody has trained."""
    for heads, width in SIZES:
        torch.manual_seed(0)
        config = StudentConfig(Discrete(1), Discrete(2), heads=heads, key_width=width, value_width=width)
        yield Student(config).eval().requires_grad_(False)


def on_triton(student: Student) -> Student:
    """The same student, whose memories step by the Triton kernel wherever their tensors are."""

    changed = deepcopy(student)
    for memory in changed.memories:
        # The interpreter's tensors are on the CPU, which the backend is not made for.
        memory.rule = replace(memory.rule, step_for={("cpu", torch.float32): "triton"})  # type: ignore[type-var]
    return changed


def rehearse() -> list[TickRow]:
    """Toy sizes in the interpreter; AssertionError where agents do not do what plain PyTorch's do."""
    student, rows = next(students()), []
    for tile in TOY_TILES:
        by_triton, plainly = (DeviceTick(each, TOY_AGENTS, tile) for each in (on_triton(student), _plain(student)))
        for _ in range(2):
            by_triton.tick()
            plainly.tick()
        torch.testing.assert_close(by_triton.states(), plainly.states(), rtol=1e-4, atol=1e-4)
        assert torch.equal(by_triton.summary(), plainly.summary())
        rows.append(_row(student, TOY_AGENTS, tile))
    return rows


def predict(copy_bytes_per_second: float) -> list[TickRow]:
    """What bytes say, for each size, in one tile."""
    rows = [_row(student, agents, agents) for student in students() for agents in AGENTS]
    return [replace(row, predicted_us=_predicted_us(row, copy_bytes_per_second)) for row in rows]


def measure(copy_bytes_per_second: float) -> list[TickRow]:
    """On this machine's GPU: every size in every tile that is not larger than needed, launched and in a graph."""
    rows = []
    for student in students():
        for agents in AGENTS:
            for tile in sorted({min(tile, agents) for tile in TILES}):
                row = _row(student, agents, tile)
                if 2 * agents * row.page_bytes > torch.cuda.mem_get_info()[0]:
                    continue
                each = DeviceTick(deepcopy(student).cuda(), agents, tile)
                predicted = _predicted_us(row, copy_bytes_per_second)
                us, graph_us = seconds(each.tick) * 1e6, graph_seconds(each.tick) * 1e6
                rows.append(replace(row, predicted_us=predicted, us=us, graph_us=graph_us))
                del each
                torch.cuda.empty_cache()
    return rows


def _plain(student: Student) -> Student:
    plain = deepcopy(student)
    for memory in plain.memories:
        memory.rule = replace(memory.rule, step_for={})  # type: ignore[type-var]
    return plain


def _row(student: Student, agents: int, tile: int) -> TickRow:
    page_bytes = FLOAT * student.config.page_floats
    weights = sum(module.weight.numel() for module in student.modules() if isinstance(module, nn.Linear))
    flops = 2 * weights + FLOPS_A_STATE_FLOAT * student.config.page_floats
    return TickRow(page_bytes, agents, tile, agents * (2 * page_bytes + AGENT_BYTES), agents * flops)


def _predicted_us(row: TickRow, copy_bytes_per_second: float) -> float:
    return max(row.bytes / copy_bytes_per_second, row.flops / H200_FLOPS) * 1e6
