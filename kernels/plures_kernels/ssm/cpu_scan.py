"""The real-gated linear recurrent unit over whole sequences on the CPU, float32: what training on CPU uses.

B sequences, T time, H heads, V channels, S floats of a head's state (V as well); W channels are worked on at a time.

One token. Forward: L = r m, where m is the logarithm of the most a channel decays, a = e^L, c = √(1 − a²), u = i x, and
h' = a h + c u = y. Backward, with G the gradient of h' that comes from later tokens, and D = G + dy:

    du = c D      dx = i du      di = x du      dL = a h D − (a² / c) u D      dr = m dL      dm = r dL      dh = a D
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import int64, njit, prange, void
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..simd import (
    FLOAT32,
    at,
    fingerprint,
    load,
    minus,
    over,
    plus,
    plus_product,
    state_at,
    store,
    times,
    view,
    view_type,
    zeros,
)
from ..spec import Inputs
from . import cpu
from .cpu import advance, at_once, decayed
from .naive import most


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`; bit for bit what repeated `cpu.step` gives. Differentiable once."""
    *tokens, decay_HV = inputs
    y_BTHV, last_BHS = _Scan.apply(*tokens, most(decay_HV), state_BHS)  # type: ignore[no-untyped-call]
    return y_BTHV, last_BHS


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        *inputs, state_BHS = (x.contiguous() for x in tensors)
        B, T, H, V = inputs[0].shape
        y_BTHV, last_BHS = torch.empty_like(inputs[0]), state_BHS.clone()
        forward_kernel(at_once(V))(B, T, H, V, *map(view, (*inputs, y_BTHV, last_BHS)))
        ctx.save_for_backward(*inputs, state_BHS, y_BTHV)
        return y_BTHV, last_BHS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHV: Tensor, dlast_BHS: Tensor) -> tuple[Tensor, ...]:
        *inputs, state_BHS, y_BTHV = ctx.saved_tensors
        B, T, H, V = y_BTHV.shape
        dtokens = [torch.empty_like(x) for x in inputs[:3]]
        dmost_BHV = dlast_BHS.new_zeros(B, H, V)
        dstate_BHS = dlast_BHS.clone(memory_format=torch.contiguous_format)
        before_BTHV = torch.cat([state_BHS[:, None], y_BTHV[:, :-1]], dim=1) if T else y_BTHV
        tensors = *inputs, before_BTHV, dy_BTHV.contiguous(), *dtokens, dmost_BHV, dstate_BHS
        backward_kernel(at_once(V))(B, T, H, V, *map(view, tensors))
        return *dtokens, dmost_BHV.sum(0), dstate_BHS


@cache
def forward_kernel(W: int) -> Callable[..., None]:
    """The forward. The last argument is the first state and becomes the last."""
    sources = fingerprint(__file__, cpu.__file__)
    rows, states, weights = (view_type(axes) for axes in (4, 3, 2))

    @njit(
        void(int64, int64, int64, int64, rows, rows, rows, weights, rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, x_BTHV: Any, recurrence_BTHV: Any, gate_BTHV: Any, most_HV: Any, y_BTHV: Any,
        state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state = state_at(FLOAT32, state_BHS, b, h, V, 0)
            for t in range(T):
                advance(
                    state, state, at(x_BTHV, b, t, h), at(recurrence_BTHV, b, t, h), at(gate_BTHV, b, t, h),
                    at(most_HV, h), at(y_BTHV, b, t, h), V, zeros(1, W),
                )  # fmt: skip

    return kernel


@cache
def backward_kernel(W: int) -> Callable[..., None]:
    """The backward; `dstate_BHS` goes from the last state's to the first's, `dmost_BHV` from zeros to the sums."""
    sources = fingerprint(__file__, cpu.__file__)
    rows, states, weights = (view_type(axes) for axes in (4, 3, 2))

    @njit(
        void(
            int64, int64, int64, int64, rows, rows, rows, weights, rows, rows, rows, rows, rows, states, states,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, x_BTHV: Any, recurrence_BTHV: Any, gate_BTHV: Any, most_HV: Any,
        before_BTHV: Any, dy_BTHV: Any, dx_BTHV: Any, drecurrence_BTHV: Any, dgate_BTHV: Any, dmost_BHV: Any,
        dstate_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            for v in range(0, V, W):
                row = zeros(1, W)
                most, dmost, dstate = at(most_HV, h, v), at(dmost_BHV, b, h, v), at(dstate_BHS, b, h, v)
                for t in range(T - 1, -1, -1):
                    retreat(
                        at(x_BTHV, b, t, h, v), at(recurrence_BTHV, b, t, h, v), at(gate_BTHV, b, t, h, v), most,
                        at(before_BTHV, b, t, h, v), at(dy_BTHV, b, t, h, v), at(dx_BTHV, b, t, h, v),
                        at(drecurrence_BTHV, b, t, h, v), at(dgate_BTHV, b, t, h, v), dmost, dstate, row,
                    )  # fmt: skip

    return kernel


@njit
def retreat(
    x: Any, recurrence: Any, gate: Any, most: Any, before: Any, dy: Any, dx: Any, drecurrence: Any, dgate: Any,
    dmost: Any, dstate: Any, row: Any,
) -> None:  # fmt: skip
    """One token backward for some channels, all by address; dstate goes from the new state's to the old one's."""
    r, m, i, told = load(recurrence, 0, row), load(most, 0, row), load(gate, 0, row), load(x, 0, row)
    a, complement = decayed(r, m)
    grad = plus(load(dstate, 0, row), load(dy, 0, row))
    faded = times(a, grad)
    lost = over(times(times(a, times(i, told)), faded), complement)
    dlog_a = minus(times(load(before, 0, row), faded), lost)
    dtold = times(complement, grad)
    store(dx, 0, times(i, dtold))
    store(dgate, 0, times(told, dtold))
    store(drecurrence, 0, times(m, dlog_a))
    store(dmost, 0, plus_product(load(dmost, 0, row), r, dlog_a))
    store(dstate, 0, faded)
