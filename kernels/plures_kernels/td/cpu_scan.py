"""Temporal differences over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, K key channels, V value channels, S floats of a head's state; G what is one number a head
and token: discount, hold, lapse. The forward keeps the state before each token.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from numba import njit, prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..simd import fingerprint
from ..spec import Inputs
from . import cpu
from .cpu import advance
from .cpu_backward import backward_kernel


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    *tokens, discount_BTH, hold_BTH, lapse_BTH, greed_H, choice_H = inputs
    gates_BTHG = torch.stack([discount_BTH, hold_BTH, lapse_BTH], dim=-1)
    tensors = *tokens, gates_BTHG, greed_H.exp(), choice_H.exp(), state_BHS
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    y_BTHV, last_BHS = _Scan.apply(keep, *tensors)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *inputs, state_BHS = (x.contiguous() for x in tensors)
        y_BTHV, last_BHS = torch.empty_like(inputs[1]), state_BHS.clone()
        B, T, H, _ = y_BTHV.shape
        before_BTHS = state_BHS.new_empty(B, T if keep else 0, H, state_BHS.size(-1))
        forward_kernel()(*(x.detach().numpy() for x in (*inputs, before_BTHS, y_BTHV, last_BHS)))
        ctx.save_for_backward(*inputs, before_BTHS)
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, before_BTHS = ctx.saved_tensors
        (B, _, H, _), dtokens = dy_BTHV.shape, [torch.empty_like(x) for x in inputs[:4]]
        dsharpness_2BH = dy_BTHV.new_zeros(2, B, H)
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        tensors = *inputs, before_BTHS, dy_BTHV.contiguous(), *dtokens, *dsharpness_2BH, dstate_BHS
        backward_kernel()(*(x.numpy() for x in tensors))
        return None, *dtokens, *dsharpness_2BH.sum(1), dstate_BHS


@cache
def forward_kernel() -> Callable[..., None]:
    """The forward. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)

    @njit(cache=True, parallel=True, nogil=True)
    def kernel(
        k_BTHK: Any, v_BTHV: Any, beta_BTHV: Any, gates_BTHG: Any, greed_H: Any, choice_H: Any, before_BTHS: Any,
        y_BTHV: Any, state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        B, T, H, _ = y_BTHV.shape
        keep = before_BTHS.shape[1] == T
        for cell in prange(B * H):
            b, h = cell // H, cell % H
            state_S = state_BHS[b, h]
            for t in range(T):
                if keep:
                    before_BTHS[b, t, h] = state_S
                told = (
                    k_BTHK[b, t, h],
                    v_BTHV[b, t, h],
                    beta_BTHV[b, t, h],
                    gates_BTHG[b, t, h],
                    greed_H[h],
                    choice_H[h],
                )
                advance(state_S, state_S, told, y_BTHV[b, t, h])

    return kernel
