"""The CPU backends of both rules of test-time training, float32: what is around their kernels.

B rows or sequences, T time, H heads, V channels of keys and values, F hidden units, S floats of a head's state,
Q floats that a token leaves for the backward, N pages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..memory import empty_pages
from ..simd import form_of, view
from ..spec import Inputs
from . import AFFINE, TOKENS

Kernel = Callable[..., None]


@dataclass(frozen=True)
class Memory:
    """A form of memory: its kernels, compiled for V channels and F hidden units, and Q.

    All take the learned start of a state as one row a head, `start_HS`, laid out as the state is.
    """

    step_kernel: Callable[[str, int, int], Kernel]
    forward_kernel: Callable[[int, int], Kernel]
    backward_kernel: Callable[[int, int], Kernel]
    trace_floats: Callable[[int, int], int]

    def step(
        self, pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
    ) -> Tensor:
        """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
        tokens, start, affine = parted(inputs)
        B, H, V = tokens[0].shape
        y_BHV = empty_pages(B, H, V)
        slots = read_B.to(torch.int64), write_B.to(torch.int64)
        # Without noise nobody looks at it.
        noise_B = slots[1] if noise_B is None else noise_B
        form = form_of(pool_NHS, None if noise_B is slots[1] else noise_B)
        tensors = pool_NHS, *tokens, joined(start), *affine, *slots, noise_B, y_BHV
        self.step_kernel(form, V, start[0].size(1))(B, H, normalize, *map(view, tensors))
        return y_BHV

    def scan(self, inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
        """As `Rule.scan`; bit for bit what repeated steps give. Differentiable once."""
        keep = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, state_BHS))
        y_BTHV, last_BHS = _Scan.apply(self, normalize, keep, *inputs, state_BHS)  # type: ignore[no-untyped-call]
        return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, memory: Memory, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *inputs, state_BHS = (x.contiguous() for x in tensors)
        tokens, start, affine = parted(inputs)
        (B, T, H, V), F = tokens[0].shape, start[0].size(1)
        y_BTHV, last_BHS, start_HS = state_BHS.new_empty(B, T, H, V), state_BHS.clone(), joined(start)
        # When nothing need be kept, tokens write over one another's.
        trace_BTHQ = state_BHS.new_empty(B, T if keep else 1, H, memory.trace_floats(V, F)).expand(B, T, H, -1)
        kernel = memory.forward_kernel(V, F)
        kernel(B, T, H, normalize, *map(view, (*tokens, start_HS, *affine, trace_BTHQ, y_BTHV, last_BHS)))
        ctx.save_for_backward(*tokens, start_HS + last_BHS, *affine, trace_BTHQ)
        ctx.memory, ctx.normalize, ctx.shapes = memory, normalize, [x.shape for x in start]
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *tokens, whole_BHS, gain_HV, bias_HV, trace_BTHQ = ctx.saved_tensors
        B, T, H, V = dy_BTHV.shape
        dtokens = [torch.empty_like(x) for x in tokens]
        dgain_BHV, dbias_BHV = dy_BTHV.new_zeros(2, B, H, V)
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        given = *tokens, gain_HV, bias_HV, trace_BTHQ, dy_BTHV.contiguous()
        # The sums of start and state, from the last token's to the first's, as their gradients.
        changed = *dtokens, dgain_BHV, dbias_BHV, whole_BHS.clone(), dstate_BHS
        kernel = ctx.memory.backward_kernel(V, ctx.shapes[0][1])
        kernel(B, T, H, ctx.normalize, *map(view, (*given, *changed)))
        # A state is what has been added to the start: the last one, given the sums, is less by the start.
        dstart = split((dstate_BHS - dlast_BHS).sum(0), ctx.shapes)
        return None, None, None, *dtokens, *dstart, dgain_BHV.sum(0), dbias_BHV.sum(0), dstate_BHS


def parted(inputs: Inputs) -> tuple[Inputs, Inputs, Inputs]:
    """The inputs that come with every token, the weights that a memory starts from, and LN's gain and bias."""
    return inputs[: len(TOKENS)], inputs[len(TOKENS) : -len(AFFINE)], inputs[-len(AFFINE) :]


def joined(start: Inputs) -> Tensor:
    """The weights that a memory starts from as `start_HS`."""
    return torch.cat([x.flatten(1) for x in start], dim=1)


def split(start_HS: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """The inverse of `joined`."""
    parts = torch.split(start_HS, [shape[1:].numel() for shape in shapes], dim=1)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
