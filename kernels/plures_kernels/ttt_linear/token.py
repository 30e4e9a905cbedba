"""One token of a linear memory under test-time training on the CPU, for numba functions.

A head's state is V × V + V floats, W and then b; R rows of W are worked on at a time, a tile. Only two parts of a token
touch the state, what it recalls and what it learns: larger kernels do other work between them.
"""

from typing import Any

from numba import njit

from ..simd import (
    FLOAT_BYTES,
    dot,
    height,
    load,
    load_state,
    plus,
    plus_outer,
    plus_scaled,
    recalled,
    scaled,
    store,
    store_state,
    width,
)
from ..ttt.cpu import ONE, read, slope, whole


@njit(forceinline=True)
def recall_rows(token: Any, start: Any, state: Any, i: Any, answers: Any, tile: Any) -> None:
    """What the rows of W from the i-th on recall under k and under q, to the address `answers`: V floats each."""
    V = width(token.k)
    store(answers + i * FLOAT_BYTES, FLOAT_BYTES * V, recalled(start, state, i * V, tile, token.keys))


@njit(forceinline=True)
def recall(token: Any, start: Any, state: Any, answers: Any, tile: Any) -> Any:
    """What all of W recalls; returns b."""
    V = width(token.k)
    for i in range(0, V, height(tile)):
        recall_rows(token, start, state, i, answers, tile)
    return whole(start, state, V * V, token.k)


@njit(forceinline=True)
def settle(token: Any, b: Any, answers: Any) -> Any:
    """The update of f(k), and y, given what W recalls. At `answers` are left f(k) before the step, f(q) after it."""
    answers_read = answers + FLOAT_BYTES * width(b)
    before = plus(b, load(answers, 0, b))
    update = scaled(-token.beta, slope(before, token.target, token.gain, token.bias))
    after = plus_scaled(plus(b, load(answers_read, 0, b)), dot(token.k, token.q) + ONE, update)
    store(answers, 0, before)
    store(answers_read, 0, after)
    return update, read(after, token.q, token.gain, token.bias)


@njit(forceinline=True)
def learn_rows(token: Any, changes: Any, old: Any, new: Any, i: Any, tile: Any, column: Any) -> None:
    """The step of the rows of W from the i-th on, from `old` to `new` (they may be one); the update lies at changes."""
    change = load(changes + i * FLOAT_BYTES, 0, column)
    place = i * width(token.k)
    store_state(new, place, plus_outer(load_state(old, place, tile), change, token.k))


@njit(forceinline=True)
def learn_offset(changes: Any, old: Any, new: Any, row: Any) -> None:
    """The step of b."""
    place = width(row) * width(row)
    store_state(new, place, plus(load_state(old, place, row), load(changes, 0, row)))
