"""Blocks: a few rows of a float32 matrix as one value inside numba functions.

A block is one LLVM vector: the compiler cuts it into the registers that the machine has.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic, models, register_model

from .lanes import vector

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


def operation(typing: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that numba functions can call: `typing` maps operand types to a signature and an emitter of code."""
    operation: Callable[..., Any] = intrinsic(prefer_literal=True)(typing)
    return operation


def on_values(emit: Emit) -> Emit:
    """The emitter of an operation that needs the values of its operands alone."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = emit(builder, *args)
        return context.get_dummy_value() if value is None else value

    return generate
