"""The fused step: embed → layers → head for a few rows at a time; meanwhile the next rows' states come near.

B rows of a call, I inputs, A actions, N pages, P floats of a page; R rows are worked on together, in scratch memory of
S floats for each of T threads, which stays in the nearest caches.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]
from numba import get_thread_id, int64, njit, prange, types, void  # type: ignore[attr-defined]
from plures_kernels.directions import query_and_key
from plures_kernels.matrix import token
from plures_kernels.matrix.token import Token, advance
from plures_kernels.rows import rows_at_a_time
from plures_kernels.simd import (
    FLOAT32,
    FLOAT_BYTES,
    at,
    fingerprint,
    height,
    load,
    load_scalar,
    prefetch_far,
    slot_at,
    state_at,
    store_scalar,
    view_type,
    width,
    zeros,
)

from . import linear as linear_file
from . import packing
from .linear import add_linear, linear, normalize, square_relu, to_rates
from .packing import PANEL, Extents, padded

# As many rows as there are registers for the sums of a panel, with some left for the panel itself.
ROWS = 16 if binding.get_host_cpu_features().get("avx512f") else 4
ZERO = np.float32(0)
filled_up: Any = njit(padded)


def scratch_floats(width: int, extents: Extents) -> int:
    """Of one thread: for each row its stream, that normalised, gates, reads, hidden units, logits, and inputs."""
    hidden, logits = padded(extents.hidden), padded(extents.actions)
    return ROWS * (2 * width + extents.gates + extents.reads + hidden + logits + extents.inputs)


@cache
def step_kernel(D: int, K: int, V: int) -> Callable[..., None]:
    """The step, from encoded inputs to logits, for students of D channels whose memories are V × K.

    All else that a student may vary in is told at each call, so that most need nothing compiled for them. Pages change
    in place.
    """
    sources = fingerprint(__file__, linear_file.__file__, packing.__file__, token.__file__)
    R, rows_of_state, stream_bytes = ROWS, rows_at_a_time(V, K), FLOAT_BYTES * D
    slots, matrix = view_type(1), view_type(2)
    told = types.NamedUniTuple(int64, len(Extents._fields), Extents)  # type: ignore[no-untyped-call]

    @njit(
        void(int64, told, matrix, matrix, int64, slots, slots, matrix, matrix),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, extents: Any, pages_NP: Any, encoded_BI: Any, weights: int, read_B: Any, write_B: Any, logits_BA: Any,
        scratch_TS: Any,
    ) -> None:  # fmt: skip
        assert sources
        hidden, logits, H = filled_up(extents.hidden), filled_up(extents.actions), extents.heads
        gate_bytes, read_bytes = FLOAT_BYTES * extents.gates, FLOAT_BYTES * extents.reads
        hidden_bytes, logit_bytes = FLOAT_BYTES * hidden, FLOAT_BYTES * logits
        rates = FLOAT_BYTES * extents.directions
        for group in prange((B + R - 1) // R):
            first = int64(group) * R
            tile, row, whole = zeros(R, PANEL), zeros(1, PANEL), zeros(1, D)
            x = at(scratch_TS, get_thread_id())
            unit = x + R * stream_bytes
            gates_at = unit + R * stream_bytes
            reads_at = gates_at + R * gate_bytes
            hidden_at = reads_at + R * read_bytes
            logits_at = hidden_at + R * hidden_bytes
            inputs_at = logits_at + R * logit_bytes
            gather(encoded_BI, first, B, extents.inputs, inputs_at, R)
            w = linear(inputs_at, FLOAT_BYTES * extents.inputs, extents.inputs, weights, D, x, tile, row)
            for layer in range(extents.layers):
                normalize(x, unit, stream_bytes, R, whole)
                w = linear(unit, stream_bytes, D, w, extents.gates, gates_at, tile, row)
                to_rates(gates_at, gate_bytes, rates, tile)
                remember(
                    gates_at, gate_bytes, rates, reads_at, first, B, H, V, pages_NP, layer * H, read_B, write_B, R,
                    zeros(1, K), zeros(rows_of_state, K), zeros(1, 1),
                )  # fmt: skip
                w = add_linear(reads_at, read_bytes, extents.reads, w, D, x, tile, row)
                normalize(x, unit, stream_bytes, R, whole)
                w = linear(unit, stream_bytes, D, w, hidden, hidden_at, tile, row)
                square_relu(hidden_at, hidden_bytes, tile)
                w = add_linear(hidden_at, hidden_bytes, extents.hidden, w, D, x, tile, row)
            normalize(x, unit, stream_bytes, R, whole)
            linear(unit, stream_bytes, D, w, logits, logits_at, tile, row)
            scatter(logits_at, logit_bytes, logits_BA, first, B, extents.actions, R)

    return kernel


@njit
def gather(encoded_BI: Any, first: Any, B: Any, inputs: Any, out: Any, R: Any) -> None:
    """The inputs of R rows from `first` on, the last row again beyond the end."""
    for r in range(R):
        for i in range(inputs):
            value = load_scalar(at(encoded_BI, min(first + r, B - 1), i))
            store_scalar(out + (r * inputs + i) * FLOAT_BYTES, value)


@njit
def scatter(logits: Any, stride: Any, logits_BA: Any, first: Any, B: Any, actions: Any, R: Any) -> None:
    """The logits of R rows from `first` on, as far as there are any, to their places."""
    for r in range(min(R, B - first)):
        for a in range(actions):
            store_scalar(at(logits_BA, first + r, a), load_scalar(logits + r * stride + a * FLOAT_BYTES))


@njit
def remember(
    gates: Any, gates_stride: Any, rates: Any, reads: Any, first: Any, B: Any, H: Any, V: Any, pages_NP: Any,
    states: Any, read_B: Any, write_B: Any, R: Any, direction: Any, tile: Any, number: Any,
) -> None:  # fmt: skip
    """The memories of R rows from `first` on in one layer, whose states begin at the `states`-th of a page.

    gates: queries, keys, values, and `rates` bytes on, decays and learning rates. reads: what is recalled.
    `direction`, `tile` and `number` are shaped as a key, some rows of a state, and a decay.
    """
    key_bytes, value_bytes, S = FLOAT_BYTES * width(direction), FLOAT_BYTES * V, V * width(direction)
    pool_NHS = pages_NP[0], pages_NP[1], S
    for r in range(R):
        b, q = first + r, gates + r * gates_stride
        v, y, rate = q + 2 * H * key_bytes, reads + r * H * value_bytes, q + rates
        write = slot_at(write_B, b) if b < B else -1
        if write < 0:
            for i in range(H * V):
                store_scalar(y + i * FLOAT_BYTES, ZERO)
            continue
        read = slot_at(read_B, b)
        following = slot_at(read_B, b + R) if b + R < B else -1
        for h in range(H):
            if following >= 0:
                ask_for(at(pages_NP, following) + (states + h) * V * key_bytes, V, key_bytes, tile)
            query, key = query_and_key(q + h * key_bytes, q + (H + h) * key_bytes, direction, True)
            alpha, beta = load(rate + h * FLOAT_BYTES, 0, number), rate + (H + h) * FLOAT_BYTES
            told = Token(query, key, alpha, 0, v + h * value_bytes, beta)
            old = state_at(FLOAT32, pool_NHS, read, states + h, S, 0)
            new = state_at(FLOAT32, pool_NHS, write, states + h, S, 0)
            advance(told, old, new, new, False, y + h * value_bytes, V, True, 1, tile)


@njit
def ask_for(state: Any, V: Any, stride: Any, tile: Any) -> None:
    """Have a state brought near, while the rows before it and the maps between are worked on."""
    for i in range(0, V, height(tile)):
        prefetch_far(state + i * stride, stride, tile)
