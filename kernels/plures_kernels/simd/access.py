"""How numba kernels reach memory: tensors as addresses and strides, blocks and numbers at an address.

Arrays would cost a reference count here and there, which for a small state is as much as the work on it.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import int64, njit, types
from torch import Tensor

from .blocks import on_values, operation
from .lanes import FLOAT, INT32, INT64, cgutils, concatenate, pick, row_pointers

FLOAT_BYTES = 4
INDEX_BYTES = 8
CACHE_LINE_BYTES = 64
# What LLVM calls locality.
EVERY_CACHE, NOT_THE_FIRST = 3, 2
BYTE_POINTER = ir.IntType(8).as_pointer()


@operation
def load(typing: Any, address: Any, stride: Any, like: Any) -> Any:
    """`load(address, stride, like)`: the block, shaped as `like`, whose rows begin `stride` bytes apart."""

    def emit(builder: Any, address: Any, stride: Any, like_value: Any) -> Any:
        pointers = row_pointers(builder, address, stride, like.rows, like.width)
        return concatenate(builder, [builder.load(pointer, align=FLOAT_BYTES) for pointer in pointers])

    return like(types.int64, types.int64, like), on_values(emit)


@operation
def store(typing: Any, address: Any, stride: Any, block: Any) -> Any:
    """`store(address, stride, block)`: the inverse of `load`."""

    def emit(builder: Any, address: Any, stride: Any, value: Any) -> None:
        for row, pointer in enumerate(row_pointers(builder, address, stride, block.rows, block.width)):
            lanes = range(row * block.width, (row + 1) * block.width)
            builder.store(pick(builder, value, lanes), pointer, align=FLOAT_BYTES)

    return types.void(types.int64, types.int64, block), on_values(emit)


@operation
def prefetch(typing: Any, address: Any, stride: Any, like: Any) -> Any:
    """`prefetch(address, stride, like)`: ask for what `load` will read next; any address is safe."""
    return types.void(types.int64, types.int64, like), on_values(_prefetch(like, EVERY_CACHE))


@operation
def prefetch_far(typing: Any, address: Any, stride: Any, like: Any) -> Any:
    """As `prefetch`, for what is needed in a while: the first-level cache is left to what is needed now."""
    return types.void(types.int64, types.int64, like), on_values(_prefetch(like, NOT_THE_FIRST))


def _prefetch(like: Any, locality: int) -> Any:
    def emit(builder: Any, address: Any, stride: Any, like_value: Any) -> None:
        for pointer in row_pointers(builder, address, stride, like.rows, like.width):
            ask_for(builder, builder.ptrtoint(pointer, INT64), FLOAT_BYTES * like.width, locality)

    return emit


def ask_for(builder: Any, address: Any, size: int, locality: int = EVERY_CACHE) -> None:
    """Code that asks for so many bytes, to be read, kept in these caches, as data."""
    kind = ir.FunctionType(ir.VoidType(), [BYTE_POINTER, INT32, INT32, INT32])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hints = [ir.Constant(INT32, hint) for hint in (0, locality, 1)]
    start = builder.inttoptr(address, BYTE_POINTER)
    for offset in range(0, size, CACHE_LINE_BYTES):
        builder.call(fetch, [builder.gep(start, [ir.Constant(INT32, offset)]), *hints])


@operation
def load_scalar(typing: Any, address: Any) -> Any:
    """`load_scalar(address)`: one float32."""
    emit = on_values(lambda builder, address: builder.load(builder.inttoptr(address, FLOAT.as_pointer())))
    return types.float32(types.int64), emit


@operation
def store_scalar(typing: Any, address: Any, value: Any) -> Any:
    """`store_scalar(address, value)`: the inverse of `load_scalar`."""

    def emit(builder: Any, address: Any, value: Any) -> None:
        builder.store(value, builder.inttoptr(address, FLOAT.as_pointer()))

    return types.void(types.int64, types.float32), on_values(emit)


@operation
def load_index(typing: Any, address: Any) -> Any:
    """`load_index(address)`: one int64."""
    emit = on_values(lambda builder, address: builder.load(builder.inttoptr(address, INT64.as_pointer())))
    return types.int64(types.int64), emit


@operation
def reserve(typing: Any, floats: Any) -> Any:
    """`reserve(floats)`: the address of so many floats, a compile-time constant, while the calling function runs."""

    def emit(builder: Any, count: Any) -> Any:
        place = cgutils.alloca_once(builder, ir.ArrayType(FLOAT, floats.literal_value))
        return builder.ptrtoint(place, INT64)

    return types.int64(floats), on_values(emit)


def view(tensor: Tensor) -> tuple[int, ...]:
    """A tensor as kernels take it: the address of its first element, and its strides in elements.

    The caller keeps the tensor alive while the kernel runs.
    """
    return tensor.data_ptr(), *tensor.stride()


def view_type(axes: int) -> types.UniTuple:
    return types.UniTuple(int64, axes + 1)  # type: ignore[no-untyped-call]


@njit
def at(view: Any, *index: Any) -> Any:
    """The address of an element of a float32 view; the axes not named are at 0."""
    address = view[0]
    for axis in range(len(index)):
        address += FLOAT_BYTES * index[axis] * view[axis + 1]
    return address


@njit
def slot_at(view: Any, row: Any) -> Any:
    """An entry of a view of int64."""
    return load_index(view[0] + INDEX_BYTES * row * view[1])
