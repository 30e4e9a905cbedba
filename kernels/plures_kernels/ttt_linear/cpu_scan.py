"""Test-time training of a linear memory over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, V channels of keys and values, S floats of a head's state; R rows of a state are worked on
at a time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..directions import query_and_key
from ..rows import MOST_BACKWARD, rows_at_a_time
from ..simd import FLOAT_BYTES, at, fingerprint, load_scalar, store, view, view_type, zeros
from ..spec import Inputs
from . import cpu
from .cpu import SOURCES, advance
from .cpu_backward import backward_kernel


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, state_BHS))
    y_BTHV, last_BHS = _Scan.apply(normalize, keep, *inputs, state_BHS)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, normalize: bool, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *inputs, state_BHS = (x.contiguous() for x in tensors)
        B, T, H, V = inputs[0].shape
        y_BTHV = state_BHS.new_empty(B, T, H, V)
        last_BHS = state_BHS.clone()
        # f(k) before a token and f(q) after it; when they need not be kept, tokens write over one another's.
        answers_BTHV = [state_BHS.new_empty(B, T if keep else 1, H, V).expand(B, T, H, V) for _ in "kq"]
        kernel = forward_kernel(V, rows_at_a_time(V, V))
        kernel(B, T, H, normalize, *map(view, (*inputs, *answers_BTHV, y_BTHV, last_BHS)))
        ctx.save_for_backward(*inputs, *answers_BTHV, last_BHS)
        ctx.normalize = normalize
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *kept, last_BHS = ctx.saved_tensors
        q_BTHV, _, _, beta_BTH, w0_HVV, *_ = kept
        B, T, H, V = q_BTHV.shape
        dtokens = [torch.empty_like(q_BTHV) for _ in "qkv"] + [torch.empty_like(beta_BTH)]
        dgain_BHV, dbias_BHV = q_BTHV.new_zeros(2, B, H, V)
        # The sums of slow weights and state, from the last token's to the first's.
        w_BHVV = w0_HVV + last_BHS[..., : V * V].view(B, H, V, V)
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        kernel = backward_kernel(V, rows_at_a_time(V, V, MOST_BACKWARD))
        tensors = *kept, dy_BTHV.contiguous(), *dtokens, dgain_BHV, dbias_BHV, w_BHVV, dstate_BHS
        kernel(B, T, H, ctx.normalize, *map(view, tensors))
        dstart_HS = (dstate_BHS - dlast_BHS).sum(0)
        dweights = dstart_HS[:, : V * V].view(H, V, V), dstart_HS[:, V * V :], dgain_BHV.sum(0), dbias_BHV.sum(0)
        return None, None, *dtokens, *dweights, dstate_BHS


@cache
def forward_kernel(V: int, R: int) -> Callable[..., None]:
    """The forward, compiled for V channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__, *SOURCES)
    rows, gates, heads, states = (view_type(axes) for axes in (4, 3, 2, 3))

    @njit(
        void(
            int64, int64, int64, boolean, rows, rows, rows, gates, states, heads, heads, heads, rows, rows, rows, states
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, normalize: bool, q_BTHV: Any, k_BTHV: Any, v_BTHV: Any, beta_BTH: Any, w0_HVV: Any,
        b0_HV: Any, gain_HV: Any, bias_HV: Any, z_BTHV: Any, z_read_BTHV: Any, y_BTHV: Any, state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state = at(state_BHS, b, h)
            for t in range(T):
                q, k = query_and_key(at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), zeros(1, V), normalize)
                y = advance(
                    state, state, state, at(w0_HVV, h), FLOAT_BYTES * V, at(b0_HV, h), at(gain_HV, h), at(bias_HV, h),
                    q, k, at(v_BTHV, b, t, h), load_scalar(at(beta_BTH, b, t, h)), at(z_BTHV, b, t, h),
                    at(z_read_BTHV, b, t, h), V, zeros(R, V), zeros(1, R),
                )  # fmt: skip
                store(at(y_BTHV, b, t, h), 0, y)

    return kernel
