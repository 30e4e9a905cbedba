"""The backward of the scan of the gated recurrent unit on the CPU, by hand.

B sequences, T time, H heads, V channels (U: those before), G the three gates, S floats of a head's state (V as well); R
rows of a matrix are worked on at a time.

One token. Forward: r = σ(r̂ + W_r h), z = σ(ẑ + W_z h), m = W_n h + b, n = tanh(n̂ + r ∘ m), h' = (1 − z) n + z h = y.
Backward, with G the gradient of h' that comes from later tokens, and D = G + dy:

    dn̂ = D (1 − z) (1 − n²)      dẑ = D (h − n) z (1 − z)      dr̂ = dn̂ m r (1 − r)      dm = dn̂ r
    dh = z D + W_rᵀ dr̂ + W_zᵀ dẑ + W_nᵀ dm      dW_r = dr̂ hᵀ      dW_z = dẑ hᵀ      dW_n = dm hᵀ      db = dm
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import int64, njit, prange, void

from ..simd import (
    FLOAT_BYTES,
    at,
    fingerprint,
    height,
    load,
    minus,
    plus,
    plus_mixed,
    store,
    times,
    view_type,
    zeros,
)
from . import cpu
from .cpu import complement


@cache
def backward_kernel(V: int, R: int) -> Callable[..., None]:
    """The backward, compiled for V channels; `dstate_BHS` goes from the last state's to the first's."""
    sources = fingerprint(__file__, cpu.__file__)
    rows, states, weights = (view_type(axes) for axes in (4, 3, 4))

    @njit(
        void(
            int64, int64, int64, weights, rows, rows, rows, rows, rows, rows, rows, rows, rows, rows, states,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, weights_HGVU: Any, before_BTHV: Any, r_BTHV: Any, z_BTHV: Any, n_BTHV: Any,
        hidden_BTHV: Any, dy_BTHV: Any, dreset_BTHV: Any, dupdate_BTHV: Any, dcandidate_BTHV: Any, dhidden_BTHV: Any,
        dstate_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            row, dstate = zeros(1, V), at(dstate_BHS, b, h)
            for t in range(T - 1, -1, -1):
                dreset, dupdate, dhidden = (
                    at(dreset_BTHV, b, t, h), at(dupdate_BTHV, b, t, h), at(dhidden_BTHV, b, t, h)
                )  # fmt: skip
                grad = plus(load(dstate, 0, row), load(at(dy_BTHV, b, t, h), 0, row))
                kept = retreat(
                    grad, at(before_BTHV, b, t, h), at(r_BTHV, b, t, h), at(z_BTHV, b, t, h), at(n_BTHV, b, t, h),
                    at(hidden_BTHV, b, t, h), dreset, dupdate, at(dcandidate_BTHV, b, t, h), dhidden, row,
                )  # fmt: skip
                recalled = through(kept, dreset, dupdate, dhidden, at(weights_HGVU, h), V, zeros(R, V), zeros(1, R))
                store(dstate, 0, recalled)

    return kernel


@njit
def retreat(
    grad: Any, before: Any, r: Any, z: Any, n: Any, hidden: Any, dreset: Any, dupdate: Any, dcandidate: Any,
    dhidden: Any, row: Any,
) -> Any:  # fmt: skip
    """One token backward up to the products; returns z D. The others are addresses."""
    r, z, n = load(r, 0, row), load(z, 0, row), load(n, 0, row)
    off = complement(z)
    kept = times(z, grad)
    slope = times(times(grad, off), complement(times(n, n)))
    inner = times(slope, r)
    store(dcandidate, 0, slope)
    store(dhidden, 0, inner)
    store(dreset, 0, times(times(inner, load(hidden, 0, row)), complement(r)))
    store(dupdate, 0, times(times(kept, off), minus(load(before, 0, row), n)))
    return kept


@njit
def through(kept: Any, dreset: Any, dupdate: Any, dhidden: Any, weights: Any, V: Any, tile: Any, column: Any) -> Any:
    """kept + W_rᵀ dr̂ + W_zᵀ dẑ + W_nᵀ dm."""
    stride, size = V * FLOAT_BYTES, V * V * FLOAT_BYTES
    for i in range(0, V, height(tile)):
        place, along = weights + i * stride, i * FLOAT_BYTES
        kept = plus_mixed(kept, load(dreset + along, 0, column), load(place, stride, tile))
        kept = plus_mixed(kept, load(dupdate + along, 0, column), load(place + size, stride, tile))
        kept = plus_mixed(kept, load(dhidden + along, 0, column), load(place + 2 * size, stride, tile))
    return kept
