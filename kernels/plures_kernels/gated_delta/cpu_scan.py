"""The gated delta rule over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, K key channels, V value channels; R rows of a state are worked on at a time. M marks: the
forward keeps the state before every `STRIDE`-th token, from which the backward computes the states between again.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, get_num_threads, int64, njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..simd import (
    FLOAT_BYTES,
    at,
    fingerprint,
    load_scalar,
    view,
    view_type,
    zeros,
)
from ..spec import Inputs
from . import cpu
from .cpu import advance, copy, query_and_key, rows_at_a_time
from .cpu_backward import MOST_ROWS, STRIDE, backward_kernel, scratch_floats


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    _, k_BTHK, v_BTHV, *_ = inputs
    tensors = *inputs, state_BHS.reshape(*state_BHS.shape[:2], v_BTHV.size(-1), k_BTHK.size(-1))
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    y_BTHV, last_BHVK = _Scan.apply(normalize, keep, *tensors)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHVK.flatten(2)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *tokens, state_BHVK = map(_dense, tensors)
        (B, T, H, V), K = tokens[2].shape, tokens[0].size(-1)
        M = -(-T // STRIDE) if keep else 0
        marks_BHMVK = state_BHVK.new_empty(B, H, M, V, K)
        y_BTHV = state_BHVK.new_empty(B, T, H, V)
        last_BHVK = state_BHVK.clone(memory_format=torch.contiguous_format)
        kernel = forward_kernel(K, rows_at_a_time(V, K))
        kernel(B, T, H, V, M, normalize, *map(view, (*tokens, marks_BHMVK, y_BTHV, last_BHVK)))
        ctx.save_for_backward(*tokens, marks_BHMVK)
        ctx.normalize = normalize
        return y_BTHV, last_BHVK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHVK: Tensor) -> tuple[Tensor | None, ...]:
        *tokens, marks_BHMVK = ctx.saved_tensors
        (B, T, H, V), K = dy_BTHV.shape, tokens[0].size(-1)
        dtokens = [x.new_empty(x.shape) for x in tokens]
        dstate_BHVK = dlast_BHVK.clone(memory_format=torch.contiguous_format)
        inputs = *tokens, marks_BHMVK, dy_BTHV.contiguous()
        kernel = backward_kernel(K, rows_at_a_time(V, K, MOST_ROWS))
        scratch_PS = dstate_BHVK.new_empty(get_num_threads(), scratch_floats(V, K))
        kernel(B, T, H, V, ctx.normalize, *map(view, (*inputs, *dtokens, dstate_BHVK, scratch_PS)))
        return None, None, *dtokens, dstate_BHVK


def _dense(x: Tensor) -> Tensor:
    """With a contiguous last axis; the gates, of three axes, may have any strides."""
    return x if x.stride(-1) == 1 or x.dim() == 3 else x.contiguous()


@cache
def forward_kernel(K: int, R: int) -> Callable[..., None]:
    """The forward, compiled for keys of K channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states, marks = (view_type(axes) for axes in (3, 4, 4, 5))

    @njit(
        void(int64, int64, int64, int64, int64, boolean, rows, rows, rows, gates, gates, marks, rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, M: int, normalize: bool, q_BTHK: Any, k_BTHK: Any, v_BTHV: Any,
        log_decay_BTH: Any, beta_BTH: Any, marks_BHMVK: Any, y_BTHV: Any, state_BHVK: Any,
    ) -> None:  # fmt: skip
        assert sources
        stride = FLOAT_BYTES * K
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state = at(state_BHVK, b, h)
            for t in range(T):
                if t % STRIDE == 0 and t < STRIDE * M:
                    copy(state, at(marks_BHMVK, b, h, t // STRIDE), stride, V, zeros(R, K))
                alpha = math.exp(load_scalar(at(log_decay_BTH, b, t, h)))
                q, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                advance(
                    state, state, stride, 0, q, k, at(v_BTHV, b, t, h), alpha, load_scalar(at(beta_BTH, b, t, h)),
                    at(y_BTHV, b, t, h), V, zeros(R, K), zeros(1, R),
                )  # fmt: skip

    return kernel
