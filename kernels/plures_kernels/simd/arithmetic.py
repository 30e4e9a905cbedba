"""Computing on blocks.

Every sum has one fixed order and every fused multiply-add is asked for by name, so nothing is left to the optimiser to
reorder: a result is a function of its operands, whatever stands beside them in a batch.

A row is a block of one row. A column is held as a row that has one entry for each row of the block it goes with.
"""

from functools import reduce
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from .blocks import Block, on_values, operation
from .lanes import FLOAT, INT32, INT64, concatenate, fused, pick, repeat, row_sums, spread, vector

FIRST = ir.Constant(INT32, 0)


@operation
def zeros(typing: Any, rows: Any, width: Any) -> Any:
    """`zeros(rows, width)`: a block of zeros; both are compile-time constants, rows a power of two."""
    block = Block(rows.literal_value, width.literal_value)
    zero = ir.Constant(vector(block.rows * block.width), [0.0] * (block.rows * block.width))
    return block(rows, width), on_values(lambda builder, rows, width: zero)


@operation
def zeros_like(typing: Any, block: Any) -> Any:
    """`zeros_like(block)`: a block of its shape, all zeros."""
    return block(block), on_values(lambda builder, a: ir.Constant(a.type, [0.0] * a.type.count))


@operation
def filled(typing: Any, value: Any, block: Any) -> Any:
    """`filled(value, block)`: a block of its shape, each element the value."""
    return block(types.float32, block), on_values(lambda builder, x, a: spread(builder, x, a.type))


@operation
def row_of(typing: Any, block: Any) -> Any:
    """`row_of(block)`: a row of its width, all zeros."""
    zero = ir.Constant(vector(block.width), [0.0] * block.width)
    return Block(1, block.width)(block), on_values(lambda builder, a: zero)


@operation
def column_of(typing: Any, block: Any) -> Any:
    """`column_of(block)`: a column that goes with it, all zeros."""
    zero = ir.Constant(vector(block.rows), [0.0] * block.rows)
    return Block(1, block.rows)(block), on_values(lambda builder, a: zero)


@operation
def height(typing: Any, block: Any) -> Any:
    """`height(block)`: how many rows it has."""
    return types.int64(block), on_values(lambda builder, a: ir.Constant(INT64, block.rows))


@operation
def width(typing: Any, block: Any) -> Any:
    """`width(block)`: how many columns it has."""
    return types.int64(block), on_values(lambda builder, a: ir.Constant(INT64, block.width))


@operation
def scaled(typing: Any, factor: Any, block: Any) -> Any:
    """`scaled(factor, block)`: factor · block."""
    return block(types.float32, block), on_values(lambda builder, x, a: builder.fmul(spread(builder, x, a.type), a))


@operation
def minus(typing: Any, left: Any, right: Any) -> Any:
    """`minus(left, right)`: left − right."""
    return left(left, right), on_values(lambda builder, a, b: builder.fsub(a, b))


@operation
def times_row(typing: Any, block: Any, row: Any) -> Any:
    """`times_row(block, row)`: each of the block's rows ∘ row; a row of one element goes with all columns."""

    def emit(builder: Any, a: Any, r: Any) -> Any:
        lanes = [0] * block.width if row.width == 1 else range(row.width)
        return builder.fmul(a, pick(builder, r, [*lanes] * block.rows))

    return block(block, row), on_values(emit)


@operation
def plus_scaled(typing: Any, block: Any, factor: Any, other: Any) -> Any:
    """`plus_scaled(block, factor, other)`: block + factor · other."""

    def emit(builder: Any, a: Any, x: Any, b: Any) -> Any:
        return fused(builder, spread(builder, x, a.type), b, a)

    return block(block, types.float32, other), on_values(emit)


@operation
def plus_product(typing: Any, block: Any, left: Any, right: Any) -> Any:
    """`plus_product(block, left, right)`: block + left ∘ right, element by element."""
    return block(block, left, right), on_values(lambda builder, a, b, c: fused(builder, b, c, a))


@operation
def plus_outer(typing: Any, block: Any, column: Any, row: Any) -> Any:
    """`plus_outer(block, column, row)`: block + column rowᵀ."""

    def emit(builder: Any, a: Any, c: Any, r: Any) -> Any:
        down = pick(builder, c, [i for i in range(block.rows) for _ in range(block.width)])
        return fused(builder, down, repeat(builder, r, block.rows), a)

    return block(block, column, row), on_values(emit)


@operation
def plus_products(typing: Any, block: Any, address: Any, stride: Any, row: Any) -> Any:
    """`plus_products(block, address, stride, row)`: block + column rowᵀ; the column's entries lie `stride` bytes apart.

    Summed over the columns of a matrix, this is the product of that matrix with the one of the rows.
    """

    def emit(builder: Any, a: Any, address: Any, stride: Any, r: Any) -> Any:
        sums = []
        for i in range(block.rows):
            entry = builder.load(builder.inttoptr(address, FLOAT.as_pointer()))
            part = pick(builder, a, range(i * block.width, (i + 1) * block.width))
            sums.append(fused(builder, spread(builder, entry, r.type), r, part))
            address = builder.add(address, stride)
        return concatenate(builder, sums)

    return block(block, types.int64, types.int64, row), on_values(emit)


@operation
def stacked(typing: Any, row: Any, like: Any) -> Any:
    """`stacked(row, like)`: a block shaped as `like` whose rows are all that row."""
    return like(row, like), on_values(lambda builder, r, like_value: repeat(builder, r, like.rows))


@operation
def both(typing: Any, row: Any, other: Any) -> Any:
    """`both(row, other)`: the block of two rows."""
    return Block(2, row.width)(row, other), on_values(lambda builder, r, o: concatenate(builder, [r, o]))


@operation
def squared_relu(typing: Any, block: Any) -> Any:
    """`squared_relu(block)`: max(x, 0)², element by element; NaN stays."""

    def emit(builder: Any, a: Any) -> Any:
        zero = ir.Constant(a.type, [0.0] * a.type.count)
        positive = builder.select(builder.fcmp_ordered("<", a, zero), zero, a)
        return builder.fmul(positive, positive)

    return block(block), on_values(emit)


@operation
def plus_mixed(typing: Any, row: Any, column: Any, block: Any) -> Any:
    """`plus_mixed(row, column, block)`: row + Σᵢ columnᵢ · blockᵢ, the rows in order."""

    def emit(builder: Any, r: Any, c: Any, a: Any) -> Any:
        for i in range(block.rows):
            weight = pick(builder, c, [i] * block.width)
            r = fused(builder, weight, pick(builder, a, range(i * block.width, (i + 1) * block.width)), r)
        return r

    return row(row, column, block), on_values(emit)


@operation
def dots(typing: Any, block: Any, row: Any) -> Any:
    """`dots(block, row)`: the column of the block's rows' products with the row."""

    def emit(builder: Any, a: Any, r: Any) -> Any:
        return row_sums(builder, a, repeat(builder, r, block.rows), block.rows, block.width)

    return Block(1, block.rows)(block, row), on_values(emit)


@operation
def dot(typing: Any, left: Any, right: Any) -> Any:
    """`dot(left, right)`: the sum of the products of all elements."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        return builder.extract_element(row_sums(builder, a, b, 1, a.type.count), FIRST)

    return types.float32(left, right), on_values(emit)


@operation
def gathered(typing: Any, block: Any, like: Any) -> Any:
    """`gathered(block, like)`: for each factor of like, the sum of the elements that `times_row` multiplies with it."""

    def emit(builder: Any, a: Any, like_value: Any) -> Any:
        if like.width == 1:
            ones = ir.Constant(a.type, [1.0] * a.type.count)
            return row_sums(builder, a, ones, 1, a.type.count)
        rows = [range(i * block.width, (i + 1) * block.width) for i in range(block.rows)]
        return reduce(builder.fadd, (pick(builder, a, row) for row in rows))

    return like(block, like), on_values(emit)


@operation
def total(typing: Any, block: Any) -> Any:
    """`total(block)`: the sum of all elements."""

    def emit(builder: Any, a: Any) -> Any:
        ones = ir.Constant(a.type, [1.0] * a.type.count)
        return builder.extract_element(row_sums(builder, a, ones, 1, a.type.count), FIRST)

    return types.float32(block), on_values(emit)


@operation
def mean(typing: Any, block: Any) -> Any:
    """`mean(block)`: of all elements."""

    def emit(builder: Any, a: Any) -> Any:
        parts = ir.Constant(a.type, [1.0 / a.type.count] * a.type.count)
        return builder.extract_element(row_sums(builder, a, parts, 1, a.type.count), FIRST)

    return types.float32(block), on_values(emit)
