"""The gated recurrent unit over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, V channels (U: those before), G the three gates, S floats of a head's state (V as well); R
rows of a matrix are worked on at a time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..simd import FLOAT32, at, fingerprint, load_state, state_at, store, store_state, view, view_type, zeros
from ..spec import Inputs
from . import cpu
from .cpu import by_channel_before, gates, mixed, rows_at_a_time
from .cpu_backward import backward_kernel


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    keep = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, state_BHS))
    y_BTHV, last_BHS = _Scan.apply(keep, *inputs, state_BHS)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *tokens, bias_HV, state_BHS = (x.contiguous() for x in (*tensors[:3], *tensors[6:]))
        B, T, H, V = tokens[0].shape
        y_BTHV, last_BHS = torch.empty_like(tokens[0]), state_BHS.clone()
        # r, z, n and W_n h + b.
        kept = [torch.empty_like(y_BTHV) if keep else y_BTHV for _ in range(4)]
        inputs = *tokens, by_channel_before(tensors[3:6]), bias_HV
        forward_kernel(V, rows_at_a_time(V))(B, T, H, keep, *map(view, (*inputs, *kept, y_BTHV, last_BHS)))
        if keep:
            ctx.save_for_backward(*tensors[3:6], state_BHS, y_BTHV, *kept)
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor | None, ...]:
        *weights, state_BHS, y_BTHV = ctx.saved_tensors[:5]
        B, T, H, V = y_BTHV.shape
        before_BTHV = torch.cat([state_BHS[:, None], y_BTHV[:, :-1]], dim=1) if T else y_BTHV
        dreset, dupdate, dcandidate, dhidden = slopes = [torch.empty_like(y_BTHV) for _ in range(4)]
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        weights_HGVU = torch.stack(weights, dim=1)
        tensors = weights_HGVU, before_BTHV, *ctx.saved_tensors[5:], dy_BTHV.contiguous(), *slopes, dstate_BHS
        backward_kernel(V, rows_at_a_time(V))(B, T, H, *map(view, tensors))
        products = (torch.einsum("bthv,bthu->hvu", slope, before_BTHV) for slope in (dreset, dupdate, dhidden))
        return None, dreset, dupdate, dcandidate, *products, dhidden.sum((0, 1)), dstate_BHS


@cache
def forward_kernel(V: int, R: int) -> Callable[..., None]:
    """The forward, compiled for V channels. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)
    rows, states, weights, biases = (view_type(axes) for axes in (4, 3, 4, 2))

    @njit(
        void(
            int64, int64, int64, boolean, rows, rows, rows, weights, biases, rows, rows, rows, rows, rows, states,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, keep: bool, reset_BTHV: Any, update_BTHV: Any, candidate_BTHV: Any, weights_HGUV: Any,
        bias_HV: Any, r_BTHV: Any, z_BTHV: Any, n_BTHV: Any, hidden_BTHV: Any, y_BTHV: Any, state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            row = zeros(1, V)
            state = state_at(FLOAT32, state_BHS, b, h, V, 0)
            for t in range(T):
                r, z, n, hidden = gates(
                    state, at(reset_BTHV, b, t, h), at(update_BTHV, b, t, h), at(candidate_BTHV, b, t, h),
                    at(weights_HGUV, h), at(bias_HV, h), V, row, zeros(R, V), zeros(1, R),
                )  # fmt: skip
                if keep:
                    store(at(r_BTHV, b, t, h), 0, r)
                    store(at(z_BTHV, b, t, h), 0, z)
                    store(at(n_BTHV, b, t, h), 0, n)
                    store(at(hidden_BTHV, b, t, h), 0, hidden)
                new = mixed(z, n, load_state(state, 0, row))
                store(at(y_BTHV, b, t, h), 0, new)
                store_state(state, 0, new)

    return kernel
