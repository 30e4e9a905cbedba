"""Linear Titans over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, K key channels, V value channels, S floats of a head's state; R rows of a state are worked
on at a time. M marks: the forward keeps the state before every `STRIDE`-th token, from which the backward computes the
states between again.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, get_num_threads, int64, njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..directions import query_and_key
from ..rows import MOST_BACKWARD, copy, rows_at_a_time
from ..simd import FLOAT32, FLOAT_BYTES, at, fingerprint, state_at, view, view_type, zeros
from ..spec import Inputs
from . import cpu
from .cpu import advance, gates_at
from .cpu_backward import STRIDE, backward_kernel, scratch_floats


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    tensors = *inputs, state_BHS
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    y_BTHV, last_BHS = _Scan.apply(normalize, keep, *tensors)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *tokens, state_BHS = (x.contiguous() for x in tensors)
        (B, T, H, V), K = tokens[2].shape, tokens[0].size(-1)
        M = -(-T // STRIDE) if keep else 0
        marks_BHMS = state_BHS.new_empty(B, H, M, state_BHS.size(-1))
        y_BTHV = state_BHS.new_empty(B, T, H, V)
        last_BHS = state_BHS.clone()
        kernel = forward_kernel(K, rows_at_a_time(V, K))
        kernel(B, T, H, V, M, normalize, *map(view, (*tokens, marks_BHMS, y_BTHV, last_BHS)))
        ctx.save_for_backward(*tokens, marks_BHMS)
        ctx.normalize = normalize
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *tokens, marks_BHMS = ctx.saved_tensors
        (B, T, H, V), K = dy_BTHV.shape, tokens[0].size(-1)
        dtokens = [torch.empty_like(x) for x in tokens]
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        scratch_PS = dstate_BHS.new_empty(get_num_threads(), scratch_floats(V, K))
        kernel = backward_kernel(K, rows_at_a_time(V, K, MOST_BACKWARD))
        tensors = *tokens, marks_BHMS, dy_BTHV.contiguous(), *dtokens, dstate_BHS, scratch_PS
        kernel(B, T, H, V, ctx.normalize, *map(view, tensors))
        return None, None, *dtokens, dstate_BHS


@cache
def forward_kernel(K: int, R: int) -> Callable[..., None]:
    """The forward, compiled for keys of K channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states, marks = (view_type(axes) for axes in (3, 4, 3, 4))

    @njit(
        void(int64, int64, int64, int64, int64, boolean, rows, rows, rows, gates, gates, gates, marks, rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, M: int, normalize: bool, q_BTHK: Any, k_BTHK: Any, v_BTHV: Any,
        log_decay_BTH: Any, momentum_BTH: Any, beta_BTH: Any, marks_BHMS: Any, y_BTHV: Any, state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state = state_at(FLOAT32, state_BHS, b, h, 2 * V * K, 0)
            for t in range(T):
                if t % STRIDE == 0 and t < STRIDE * M:
                    marked = at(marks_BHMS, b, h, t // STRIDE)
                    copy(at(state_BHS, b, h), marked, FLOAT_BYTES * K, 2 * V, zeros(R, K))
                q, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                told = gates_at(at(log_decay_BTH, b, t, h), at(momentum_BTH, b, t, h), at(beta_BTH, b, t, h))
                advance(
                    state, state, state, False, q, k, at(v_BTHV, b, t, h), told, at(y_BTHV, b, t, h), V, K,
                    zeros(R, K), zeros(1, R),
                )  # fmt: skip

    return kernel
