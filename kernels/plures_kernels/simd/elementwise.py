"""Element by element: what the operations of `arithmetic` do not have in one."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from .blocks import on_values, operation
from .lanes import call, spread


@operation
def plus(typing: Any, left: Any, right: Any) -> Any:
    """`plus(left, right)`: left + right."""
    return left(left, right), on_values(lambda builder, a, b: builder.fadd(a, b))


@operation
def shifted(typing: Any, block: Any, offset: Any) -> Any:
    """`shifted(block, offset)`: the offset added to every element."""
    return block(block, types.float32), on_values(lambda builder, a, x: builder.fadd(a, spread(builder, x, a.type)))


@operation
def times(typing: Any, left: Any, right: Any) -> Any:
    """`times(left, right)`: left ∘ right."""
    return left(left, right), on_values(lambda builder, a, b: builder.fmul(a, b))


@operation
def root(typing: Any, block: Any) -> Any:
    """`root(block)`: the square root, element by element."""
    return block(block), on_values(lambda builder, a: call(builder, "sqrt", a))


@operation
def over(typing: Any, left: Any, right: Any) -> Any:
    """`over(left, right)`: left / right, element by element, and 0 where right is 0."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        zero = ir.Constant(a.type, [0.0] * a.type.count)
        return builder.select(builder.fcmp_ordered("==", b, zero), zero, builder.fdiv(a, b))

    return left(left, right), on_values(emit)
