"""Blocks of float32 as SIMD values inside numba functions.

A block is a few rows of a matrix, held as one LLVM vector: the compiler cuts it into the registers that the machine
has. Every sum has one fixed order and every fused multiply-add is asked for by name, so nothing is left to the
optimiser to reorder: a result is a function of its operands, whatever stands beside them in a batch.

A row is a block of one row. A column is held as a row that has one entry for each row of the block it goes with.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, models, register_model

from .lanes import INT32, cgutils, concatenate, fused, pick, repeat, row_pointers, row_sums, spread, vector

CACHE_LINE_BYTES = 64
BYTE_POINTER = ir.IntType(8).as_pointer()
FIRST = ir.Constant(INT32, 0)

Emit = Callable[..., Any]


class Block(types.Type):
    """The numba type of rows × width float32 values."""

    def __init__(self, rows: int, width: int) -> None:
        self.rows = rows
        self.width = width
        super().__init__(name=f"Block({rows} x {width})")


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, block: Block) -> None:
        super().__init__(manager, block, vector(block.rows * block.width))  # type: ignore[no-untyped-call]


def _operation(typing: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that numba functions can call: `typing` maps operand types to a signature and an emitter of code."""
    operation: Callable[..., Any] = intrinsic(prefer_literal=True)(typing)
    return operation


def _on_values(emit: Emit) -> Emit:
    """The emitter of an operation that needs the values of its operands alone."""
    return lambda context, builder, signature, args: emit(builder, *args)


@_operation
def zeros(typing: Any, rows: Any, width: Any) -> Any:
    """`zeros(rows, width)`: a block of zeros; both are compile-time constants, rows a power of two."""
    block = Block(rows.literal_value, width.literal_value)
    zero = ir.Constant(vector(block.rows * block.width), [0.0] * (block.rows * block.width))
    return block(rows, width), _on_values(lambda builder, rows, width: zero)


@_operation
def zeros_like(typing: Any, block: Any) -> Any:
    """`zeros_like(block)`: a block of its shape, all zeros."""
    return block(block), _on_values(lambda builder, a: ir.Constant(a.type, [0.0] * a.type.count))


@_operation
def height(typing: Any, block: Any) -> Any:
    """`height(block)`: how many rows it has."""
    return types.int64(block), _on_values(lambda builder, a: ir.Constant(ir.IntType(64), block.rows))


@_operation
def load(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """`load(array, index, like)`: the block, shaped as `like`, whose first element is array[index].

    Its rows follow one another along the array's axis before last; the last axis must be contiguous.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return concatenate(
            builder,
            [
                builder.load(pointer, align=4)
                for pointer in row_pointers(context, builder, array, args, like.rows, like.width)
            ],
        )

    return like(array, index, like), emit


@_operation
def store(typing: Any, array: Any, index: Any, block: Any) -> Any:
    """`store(array, index, block)`: the inverse of `load`."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for row, pointer in enumerate(row_pointers(context, builder, array, args, block.rows, block.width)):
            lanes = range(row * block.width, (row + 1) * block.width)
            builder.store(pick(builder, args[2], lanes), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, index, block), emit


@_operation
def prefetch(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """`prefetch(array, index, like)`: ask for what `load` would read; an index out of bounds does no harm."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [BYTE_POINTER, INT32, INT32, INT32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # To be read, kept in every cache level, as data.
        hints = [ir.Constant(INT32, hint) for hint in (0, 3, 1)]
        for pointer in row_pointers(context, builder, array, args, like.rows, like.width):
            start = builder.bitcast(pointer, BYTE_POINTER)
            for offset in range(0, 4 * like.width, CACHE_LINE_BYTES):
                builder.call(fetch, [builder.gep(start, [ir.Constant(INT32, offset)]), *hints])
        return context.get_dummy_value()

    return types.void(array, index, like), emit


@_operation
def scaled(typing: Any, factor: Any, block: Any) -> Any:
    """`scaled(factor, block)`: factor · block."""
    return block(types.float32, block), _on_values(lambda builder, x, a: builder.fmul(spread(builder, x, a.type), a))


@_operation
def minus(typing: Any, left: Any, right: Any) -> Any:
    """`minus(left, right)`: left − right."""
    return left(left, right), _on_values(lambda builder, a, b: builder.fsub(a, b))


@_operation
def plus_scaled(typing: Any, block: Any, factor: Any, other: Any) -> Any:
    """`plus_scaled(block, factor, other)`: block + factor · other."""

    def emit(builder: Any, a: Any, x: Any, b: Any) -> Any:
        return fused(builder, spread(builder, x, a.type), b, a)

    return block(block, types.float32, other), _on_values(emit)


@_operation
def plus_product(typing: Any, block: Any, left: Any, right: Any) -> Any:
    """`plus_product(block, left, right)`: block + left ∘ right, element by element."""
    return block(block, left, right), _on_values(lambda builder, a, b, c: fused(builder, b, c, a))


@_operation
def plus_outer(typing: Any, block: Any, column: Any, row: Any) -> Any:
    """`plus_outer(block, column, row)`: block + column rowᵀ."""

    def emit(builder: Any, a: Any, c: Any, r: Any) -> Any:
        down = pick(builder, c, [i for i in range(block.rows) for _ in range(block.width)])
        return fused(builder, down, repeat(builder, r, block.rows), a)

    return block(block, column, row), _on_values(emit)


@_operation
def plus_mixed(typing: Any, row: Any, column: Any, block: Any) -> Any:
    """`plus_mixed(row, column, block)`: row + Σᵢ columnᵢ · blockᵢ, the rows in order."""

    def emit(builder: Any, r: Any, c: Any, a: Any) -> Any:
        for i in range(block.rows):
            weight = pick(builder, c, [i] * block.width)
            r = fused(builder, weight, pick(builder, a, range(i * block.width, (i + 1) * block.width)), r)
        return r

    return row(row, column, block), _on_values(emit)


@_operation
def dots(typing: Any, block: Any, row: Any) -> Any:
    """`dots(block, row)`: the column of the block's rows' products with the row."""

    def emit(builder: Any, a: Any, r: Any) -> Any:
        return row_sums(builder, a, repeat(builder, r, block.rows), block.rows, block.width)

    return Block(1, block.rows)(block, row), _on_values(emit)


@_operation
def dot(typing: Any, left: Any, right: Any) -> Any:
    """`dot(left, right)`: the sum of the products of all elements."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        return builder.extract_element(row_sums(builder, a, b, 1, a.type.count), FIRST)

    return types.float32(left, right), _on_values(emit)


@_operation
def total(typing: Any, block: Any) -> Any:
    """`total(block)`: the sum of all elements."""

    def emit(builder: Any, a: Any) -> Any:
        ones = ir.Constant(a.type, [1.0] * a.type.count)
        return builder.extract_element(row_sums(builder, a, ones, 1, a.type.count), FIRST)

    return types.float32(block), _on_values(emit)
