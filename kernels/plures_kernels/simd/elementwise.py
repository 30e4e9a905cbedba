"""Element by element: what the operations of `arithmetic` do not have in one."""

from typing import Any

from numba import types

from .blocks import on_values, operation
from .lanes import spread


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
