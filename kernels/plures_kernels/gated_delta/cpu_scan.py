"""The gated delta rule over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, K key channels, V value channels; R rows of a state are worked on at a time. M marks: the
forward keeps the state before every `STRIDE`-th token, from which the backward computes the states between again.
"""

import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compiled import SWITCH, fingerprint, float32_view
from ..simd import zeros
from . import cpu
from .cpu import advance, copy, query_and_key, rows_at_a_time
from .cpu_backward import STRIDE, TILE, backward_kernel


def scan(
    q_BTHK: Tensor,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    log_decay_BTH: Tensor,
    beta_BTH: Tensor,
    state_BHVK: Tensor,
    normalize: bool,
) -> tuple[Tensor, Tensor]:
    """As `gated_delta.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    tensors = q_BTHK, k_BTHK, v_BTHV, log_decay_BTH, beta_BTH, state_BHVK
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    outputs: tuple[Tensor, Tensor] = _Scan.apply(normalize, keep, *tensors)  # type: ignore[no-untyped-call]
    return outputs


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *tokens, state_BHVK = map(_dense, tensors)
        B, H, V, K = state_BHVK.shape
        marks = -(-tokens[0].size(1) // STRIDE) if keep else 0
        marks_BHMVK = state_BHVK.new_empty(B, H, marks, V, K)
        y_BTHV, last_BHVK = tokens[2].new_empty(tokens[2].shape), state_BHVK.clone()
        _run(forward_kernel(K, rows_at_a_time(V, K)), tokens, normalize, (marks_BHMVK, y_BTHV, last_BHVK))
        ctx.save_for_backward(*tokens, marks_BHMVK)
        ctx.normalize = normalize
        return y_BTHV, last_BHVK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHVK: Tensor) -> tuple[Tensor | None, ...]:
        *tokens, marks_BHMVK = ctx.saved_tensors
        V, K = marks_BHMVK.shape[-2:]
        grads = [*(x.new_empty(x.shape) for x in tokens), dlast_BHVK.clone(memory_format=torch.contiguous_format)]
        kernel = backward_kernel(K, rows_at_a_time(V, K, TILE))
        _run(kernel, [*tokens, marks_BHMVK, dy_BTHV.contiguous()], ctx.normalize, grads)
        return None, None, *grads


def _dense(x: Tensor) -> Tensor:
    """With a contiguous last axis; the gates, of three axes, may have any strides."""
    x = x.detach()
    return x if x.stride(-1) == 1 or x.dim() == 3 else x.contiguous()


def _run(kernel: Callable[..., None], inputs: Iterable[Tensor], normalize: bool, outputs: Iterable[Tensor]) -> None:
    kernel(*(x.numpy() for x in inputs), normalize, *(x.numpy() for x in outputs))


@cache
def forward_kernel(K: int, R: int) -> Callable[..., None]:
    """The forward, compiled for keys of K channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states = float32_view(3), float32_view(4), float32_view(4)

    @njit(
        void(rows, rows, rows, gates, gates, SWITCH, float32_view(5), rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        q_BTHK: Any, k_BTHK: Any, v_BTHV: Any, log_decay_BTH: Any, beta_BTH: Any, normalize: bool,
        marks_BHMVK: Any, y_BTHV: Any, state_BHVK: Any,
    ) -> None:  # fmt: skip
        assert sources
        B, T, H = beta_BTH.shape
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state_VK = state_BHVK[b, h]
            for t in range(T):
                if t % STRIDE == 0 and t < STRIDE * marks_BHMVK.shape[2]:
                    copy(state_VK, marks_BHMVK[b, h, t // STRIDE], zeros(R, K))
                q, k = query_and_key(q_BTHK[b, t, h], k_BTHK[b, t, h], zeros(1, K), normalize)
                advance(
                    state_VK, state_VK, state_VK, q, k, v_BTHV[b, t, h], math.exp(log_decay_BTH[b, t, h]),
                    beta_BTH[b, t, h], y_BTHV[b, t, h], zeros(R, K), zeros(1, R),
                )  # fmt: skip

    return kernel
