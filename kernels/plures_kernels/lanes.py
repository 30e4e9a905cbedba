"""Rows of float32 as SIMD values inside numba functions.

A `Row(width)` is one LLVM vector, whatever the width: the compiler cuts it into the registers that the machine has.
No sum is left to the optimiser to reorder, so a result depends on the inputs alone, not on where in a batch they stood.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

FLOAT = ir.FloatType()
INDEX = ir.IntType(32)


class Row(types.Type):  # type: ignore[misc]
    """The numba type of `width` float32 values that are computed on together."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Row({width})")


@register_model(Row)
class _RowModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, row: Row) -> None:
        super().__init__(manager, row, ir.VectorType(FLOAT, row.width))


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def load(typing_context: Any, array: Any, index: Any, width: Any) -> Any:
    """`load(array, index, width)`: the row array[index]; its axis is the array's last, contiguous and `width` long."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, signature, args))
        value.align = 4
        return value

    return Row(width.literal_value)(array, index, width), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing_context: Any, array: Any, index: Any, row: Any) -> Any:
    """`store(array, index, row)`: array[index] becomes the row."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _address(context, builder, signature, args), align=4)
        return context.get_dummy_value()

    return types.void(array, index, row), generate


@intrinsic  # type: ignore[untyped-decorator]
def scaled(typing_context: Any, factor: Any, row: Any) -> Any:
    """`scaled(factor, row)`: factor · row."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(_splat(builder, args[0], args[1].type), args[1])

    return row(types.float32, row), generate


@intrinsic  # type: ignore[untyped-decorator]
def plus_scaled(typing_context: Any, row: Any, factor: Any, other: Any) -> Any:
    """`plus_scaled(row, factor, other)`: row + factor · other, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{kind.count}f32"
        )
        return builder.call(fused, [_splat(builder, args[1], kind), args[2], args[0]])

    return row(row, types.float32, other), generate


@intrinsic  # type: ignore[untyped-decorator]
def dot(typing_context: Any, left: Any, right: Any) -> Any:
    """`dot(left, right)`: Σ left · right, summed by halves."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _sum(builder, builder.fmul(*args))

    return types.float32(left, right), generate


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Pointer to the first element of a row: array and index are the first two arguments."""
    array_type = signature.args[0]
    array = arrayobj.make_array(array_type)(context, builder, args[0])
    index = [*cgutils.unpack_tuple(builder, args[1]), ir.Constant(ir.IntType(64), 0)]
    row = next(kind for kind in (signature.return_type, *signature.args) if isinstance(kind, Row))
    pointer = cgutils.get_item_pointer(context, builder, array_type, array, index, wraparound=False)
    return builder.bitcast(pointer, ir.VectorType(FLOAT, row.width).as_pointer())


def _splat(builder: Any, value: Any, kind: Any) -> Any:
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INDEX, 0))
    return _pick(builder, single, [0] * kind.count)


def _pick(builder: Any, row: Any, lanes: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(INDEX, len(lanes)), lanes)
    return builder.shuffle_vector(row, ir.Constant(row.type, ir.Undefined), mask)


def _sum(builder: Any, row: Any) -> Any:
    width = row.type.count
    if width == 1:
        return builder.extract_element(row, ir.Constant(INDEX, 0))
    half = width // 2
    halves = (_pick(builder, row, list(range(start, start + half))) for start in (0, half))
    total = _sum(builder, builder.fadd(*halves))
    if width % 2:
        total = builder.fadd(total, builder.extract_element(row, ir.Constant(INDEX, width - 1)))
    return total
