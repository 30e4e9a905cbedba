"""LLVM code for vectors of float32: what the operations on blocks are made of."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils as _cgutils

# Dot products run in lanes of this many floats: one AVX-512 register, two of AVX2.
LANES = 16

FLOAT = ir.FloatType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)

# numba has no types for what its code generators pass around.
cgutils: Any = _cgutils


def row_pointers(builder: Any, address: Any, stride: Any, rows: int, width: int) -> list[Any]:
    """Where rows begin in memory that are `stride` bytes apart."""
    kind = vector(width).as_pointer()
    pointers = [builder.inttoptr(address, kind)]
    for _ in range(rows - 1):
        address = builder.add(address, stride)
        pointers.append(builder.inttoptr(address, kind))
    return pointers


def row_sums(builder: Any, left: Any, right: Any, rows: int, width: int) -> Any:
    """Σ left · right over each row: lane by lane along the row, then the lanes by halves."""
    lanes = lanes_of(width)
    total = ir.Constant(vector(rows * lanes), [0.0] * (rows * lanes))
    for start in range(0, width, lanes):
        a, b = (columns(builder, side, rows, width, start, lanes) for side in (left, right))
        total = builder.fmul(a, b) if start == 0 else fused(builder, a, b, total)
    return halved(builder, total, rows, lanes)


def halved(builder: Any, total: Any, rows: int, lanes: int) -> Any:
    """The sums of a vector's rows, each of so many lanes, by halves."""
    while lanes > 1:
        lanes //= 2
        first = [2 * lanes * row + lane for row in range(rows) for lane in range(lanes)]
        total = builder.fadd(pick(builder, total, first), pick(builder, total, [i + lanes for i in first]))
    return total


def lanes_of(width: int) -> int:
    """How many lanes a dot product of so many channels runs in."""
    return min(LANES, 1 << (width - 1).bit_length())


def widened_to(builder: Any, value: Any, count: int) -> Any:
    """A vector of so many lanes: zeros behind those that there are."""
    if value.type.count == count:
        return value
    zero = ir.Constant(value.type, [0.0] * value.type.count)
    return pick(builder, value, [min(i, value.type.count) for i in range(count)], zero)


def columns(builder: Any, value: Any, rows: int, width: int, start: int, count: int) -> Any:
    """Columns start … start + count - 1 of a block, zeros beyond its width."""
    zero = ir.Constant(value.type, [0.0] * value.type.count)
    beyond = value.type.count
    picked = [
        row * width + column if column < width else beyond
        for row in range(rows)
        for column in range(start, start + count)
    ]
    return pick(builder, value, picked, zero)


def vector(count: int) -> Any:
    return ir.VectorType(FLOAT, count)


def pick(builder: Any, value: Any, lanes: Sequence[int], other: Any = None) -> Any:
    """The lanes of value (and, counted on, of other) in the order given."""
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined) if other is None else other, mask)


def spread(builder: Any, factor: Any, kind: Any) -> Any:
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), factor, ir.Constant(INT32, 0))
    return pick(builder, one, [0] * kind.count)


def repeat(builder: Any, row: Any, times: int) -> Any:
    return pick(builder, row, list(range(row.type.count)) * times)


def concatenate(builder: Any, rows: list[Any]) -> Any:
    """Rows of one width after another; their number is a power of two."""
    while len(rows) > 1:
        both = range(2 * rows[0].type.count)
        rows = [pick(builder, a, both, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    return rows[0]


def fused(builder: Any, left: Any, right: Any, addend: Any) -> Any:
    """left · right + addend, rounded once."""
    return call(builder, "fma", left, right, addend)


def call(builder: Any, intrinsic: str, *operands: Any) -> Any:
    """One of LLVM's functions on vectors."""
    kind = operands[0].type
    signature = ir.FunctionType(kind, [kind] * len(operands))
    name = f"llvm.{intrinsic}.v{kind.count}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), operands)
