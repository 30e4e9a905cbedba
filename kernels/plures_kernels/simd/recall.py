"""What states recall under a few keys: the products of some of their rows with each key, in one go.

A row is read 16 entries at a time, and every key takes its part of them: no more registers are needed than for the keys
and a sum for each row and key. The sums have the bits of `dots`.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from .access import FLOAT_BYTES
from .blocks import Block, on_values, operation
from .lanes import INT64, concatenate, fused, halved, lanes_of, pick, vector, widened_to
from .states import read_state

# Code for so many entries of a row, counted from the first of the block.
Read = Callable[[int, int], Any]


@operation
def recalled(typing: Any, start: Any, state: Any, entry: Any, like: Any, keys: Any) -> Any:
    """`recalled(start, state, entry, like, keys)`: for each key `dots` of the block that begins at an entry.

    The block is shaped as `like`, of the sum of a state and what lies at the address start, laid out as the state is.
    """

    def emit(builder: Any, start: Any, value: Any, entry: Any, like_value: Any, key_values: Any) -> Any:
        def read(offset: int, count: int) -> Any:
            place = builder.add(entry, ir.Constant(INT64, offset))
            address = builder.add(start, builder.mul(place, ir.Constant(INT64, FLOAT_BYTES)))
            given = builder.load(builder.inttoptr(address, vector(count).as_pointer()), align=FLOAT_BYTES)
            return builder.fadd(given, read_state(builder, state, value, place, count))

        return _products(builder, read, like, keys, key_values)

    return Block(keys.rows, like.rows)(types.int64, state, types.int64, like, keys), on_values(emit)


def _products(builder: Any, read: Read, like: Block, keys: Block, key_values: Any) -> Any:
    """Code for the sums of the products of each row with each key: one vector, key by key."""
    width, lanes = like.width, lanes_of(like.width)
    starts = range(0, width, lanes)
    parts = [
        [_columns(builder, key_values, j * width + start, min(lanes, width - start), lanes) for start in starts]
        for j in range(keys.rows)
    ]
    sums: list[list[Any]] = [[] for _ in parts]
    for row in range(like.rows):
        entries = [widened_to(builder, read(row * width + start, min(lanes, width - start)), lanes) for start in starts]
        for of_key, key in zip(sums, parts, strict=True):
            of_key.append(_product(builder, entries, key))
    columns = [halved(builder, concatenate(builder, of_key), like.rows, lanes) for of_key in sums]
    return reduce(lambda left, right: _joined(builder, left, right), columns)


def _product(builder: Any, left: list[Any], right: list[Any]) -> Any:
    total = builder.fmul(left[0], right[0])
    for a, b in zip(left[1:], right[1:], strict=True):
        total = fused(builder, a, b, total)
    return total


def _columns(builder: Any, value: Any, start: int, count: int, lanes: int) -> Any:
    return widened_to(builder, pick(builder, value, range(start, start + count)), lanes)


def _joined(builder: Any, left: Any, right: Any) -> Any:
    """One vector after another, which may be shorter."""
    together = range(left.type.count + right.type.count)
    return pick(builder, left, together, widened_to(builder, right, left.type.count))
