"""The family over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, J inner steps, K key channels, V value channels; R rows of a state are worked on at a
time. M marks: the forward keeps the state before every so many tokens (`stride`), from which the backward computes the
states between again.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numba import boolean, get_num_threads, int64, njit, prange, types, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..rows import MOST_BACKWARD, copy, rows_at_a_time
from ..simd import FLOAT32, FLOAT_BYTES, at, fingerprint, reserve, state_at, view, view_type, zeros
from ..spec import Inputs
from . import token
from .cpu_backward import backward_kernel, scratch_floats, stride
from .form import Decay, Form
from .layout import dense_heads, factors, views
from .token import advance, room_floats, take


def scan(form: Form, inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    tensors = *dense_heads(form, inputs), state_BHS
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    y_BTHV, last_BHS = _Scan.apply(form, normalize, keep, *tensors)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: Form, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *inputs, state_BHS = tensors
        (B, T, H, K), V, J = inputs[0].shape, inputs[2].size(-1), _inner_steps(form, inputs)
        marks_BHMS = state_BHS.new_empty(B, H, -(-T // stride(J)) if keep else 0, V * K)
        y_BTHV = state_BHS.new_empty(B, T, H, V)
        last_BHS = state_BHS.clone(memory_format=torch.contiguous_format)
        kernel = forward_kernel(form, J, K, rows_at_a_time(V, K))
        kernel(B, T, H, V, normalize, keep, views(form, 2, inputs), *map(view, (marks_BHMS, y_BTHV, last_BHS)))
        ctx.save_for_backward(*inputs, marks_BHMS)
        ctx.form, ctx.normalize = form, normalize
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, marks_BHMS = ctx.saved_tensors
        form, (B, T, H, V), K, J = ctx.form, dy_BTHV.shape, inputs[0].size(-1), _inner_steps(ctx.form, inputs)
        dinputs = [x.new_empty(x.shape) for x in inputs]
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        kernel = backward_kernel(form, J, K, rows_at_a_time(V, K, MOST_BACKWARD))
        scratch_PS = dstate_BHS.new_empty(get_num_threads(), scratch_floats(J, V, K))
        as_views = partial(views, form, 2)
        tensors = marks_BHMS, dy_BTHV.contiguous(), dstate_BHS, scratch_PS
        kernel(B, T, H, V, ctx.normalize, as_views(inputs), as_views(dinputs), *map(view, tensors))
        return None, None, None, *dinputs, dstate_BHS


def _inner_steps(form: Form, inputs: Inputs) -> int:
    return inputs[1].size(-2) if form.inner else 1


@cache
def forward_kernel(form: Form, J: int, K: int, R: int) -> Callable[..., None]:
    """The forward, compiled for J keys of K channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, token.__file__)
    decays, corrects = form.decay is not Decay.NONE, form.corrects
    D, room, marked = factors(form, K), room_floats(J, K, R), stride(J)
    inputs, rows, states = types.UniTuple(view_type(3), 5), view_type(4), view_type(3)  # type: ignore[no-untyped-call]

    @njit(
        void(int64, int64, int64, int64, boolean, boolean, inputs, rows, rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, normalize: bool, keep: bool, inputs: Any, marks_BHMS: Any, y_BTHV: Any,
        state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        q_BTHK, k_BTHJK, v_BTHJV, log_decay_BTHD, beta_BTHJ = inputs
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            tile = zeros(R, K)
            state = state_at(FLOAT32, state_BHS, b, h, V * K, 0)
            for t in range(T):
                if keep and t % marked == 0:
                    copy(at(state_BHS, b, h), at(marks_BHMS, b, h, t // marked), FLOAT_BYTES * K, V, tile)
                told = take(
                    at(q_BTHK, b, t, h), at(k_BTHJK, b, t, h), at(v_BTHJV, b, t, h), at(log_decay_BTHD, b, t, h),
                    at(beta_BTHJ, b, t, h), reserve(room), normalize, decays, J, tile, zeros(1, D),
                )  # fmt: skip
                advance(told, state, state, state, False, at(y_BTHV, b, t, h), V, corrects, J, tile)

    return kernel
