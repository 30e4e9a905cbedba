"""The backward of the scan of a two-layer memory under test-time training on the CPU: the loop over cells.

B sequences, T time, H heads, V channels of keys and values, F hidden units, S floats of a head's state, Q floats of a
token's trace; G hidden units are worked on at a time, and R rows of theirs.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import boolean, int64, njit, prange, void

from ..directions import query_and_key, unit_backward
from ..rows import MOST_BACKWARD
from ..simd import at, fingerprint, load, load_scalar, reserve, store, store_scalar, view_type, zeros
from ..ttt.backend import Kernel
from . import retreat as backward
from .cpu import SOURCES, blocks
from .retreat import retreat


@cache
def backward_kernel(V: int, F: int) -> Kernel:
    """The backward, compiled for V channels and F hidden units; the last two arguments go from the last token's on."""
    sources = fingerprint(__file__, backward.__file__, *SOURCES)
    (G, R), room = blocks(V, F, MOST_BACKWARD), 5 * F
    rows, gates, heads, states = (view_type(axes) for axes in (4, 3, 2, 3))

    @njit(
        void(
            int64, int64, int64, boolean, rows, rows, rows, gates, heads, heads, rows, rows,
            rows, rows, rows, gates, states, states, states, states,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, normalize: bool, q_BTHV: Any, k_BTHV: Any, v_BTHV: Any, beta_BTH: Any, gain_HV: Any,
        bias_HV: Any, trace_BTHQ: Any, dy_BTHV: Any, dq_BTHV: Any, dk_BTHV: Any, dv_BTHV: Any, dbeta_BTH: Any,
        dgain_BHV: Any, dbias_BHV: Any, whole_BHS: Any, dstate_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            for t in range(T - 1, -1, -1):
                q, k = query_and_key(at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), zeros(1, V), normalize)
                dq, dk, dv, dbeta = retreat(
                    at(whole_BHS, b, h), at(dstate_BHS, b, h), at(gain_HV, h), at(bias_HV, h), at(dgain_BHV, b, h),
                    at(dbias_BHV, b, h), q, k, load(at(v_BTHV, b, t, h), 0, k), load_scalar(at(beta_BTH, b, t, h)),
                    at(trace_BTHQ, b, t, h), load(at(dy_BTHV, b, t, h), 0, k), reserve(room), F, V, zeros(R, V),
                    zeros(1, R), zeros(1, G),
                )  # fmt: skip
                if normalize:
                    dq, dk = unit_backward(dq, at(q_BTHV, b, t, h), q), unit_backward(dk, at(k_BTHV, b, t, h), k)
                store(at(dq_BTHV, b, t, h), 0, dq)
                store(at(dk_BTHV, b, t, h), 0, dk)
                store(at(dv_BTHV, b, t, h), 0, dv)
                store_scalar(at(dbeta_BTH, b, t, h), dbeta)

    return kernel
