"""Between wire messages and arrays. Nothing that a message says about sizes is trusted."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from plures.v1 import tensor_pb2 as pb

from ..cohort import Ordinals
from ..errors import InvalidArgument

_DTYPES: dict[pb.DataType.ValueType, np.dtype[np.generic]] = {
    pb.DATA_TYPE_UINT8: np.dtype("u1"),
    pb.DATA_TYPE_INT32: np.dtype("<i4"),
    pb.DATA_TYPE_UINT32: np.dtype("<u4"),
    pb.DATA_TYPE_INT64: np.dtype("<i8"),
    pb.DATA_TYPE_UINT64: np.dtype("<u8"),
    pb.DATA_TYPE_FLOAT32: np.dtype("<f4"),
}
_TYPES = {dtype: data_type for data_type, dtype in _DTYPES.items()}


def array_from(tensor: pb.Tensor, what: str) -> NDArray[np.generic]:
    """The tensor as a read-only array; raise InvalidArgument unless type, shape and data agree."""
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None:
        raise InvalidArgument(f"{what} has data_type {tensor.data_type}; known: {', '.join(pb.DataType.keys()[1:])}")
    shape = tuple(tensor.shape)
    if len(shape) > 8 or any(extent < 0 for extent in shape):
        raise InvalidArgument(f"{what} has shape {list(shape)[:9]}; extents are 0 or more, axes at most 8")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != len(tensor.data):
        raise InvalidArgument(
            f"{what} of shape {list(shape)} and type {pb.DataType.Name(tensor.data_type)} "
            f"takes {wanted:,} bytes, not {len(tensor.data):,}"
        )
    try:
        return np.frombuffer(tensor.data, dtype).reshape(shape)
    except ValueError as error:  # of no elements, and yet too large
        raise InvalidArgument(f"{what} has shape {list(shape)}: {error}") from error


def typed_array(tensor: pb.Tensor, what: str, data_type: "pb.DataType.ValueType", axes: int) -> NDArray[np.generic]:
    """`array_from`, when type and number of axes are as wanted; else raise InvalidArgument."""
    array = array_from(tensor, what)
    if tensor.data_type != data_type or array.ndim != axes:
        found = f"{pb.DataType.Name(tensor.data_type)} {list(array.shape)}"
        raise InvalidArgument(f"{what} is {found}, wanted is {pb.DataType.Name(data_type)} with {axes} axes")
    return array


def torch_from(tensor: pb.Tensor, what: str) -> torch.Tensor:
    """The tensor as a torch tensor of its own memory."""
    return torch.from_numpy(array_from(tensor, what).copy())


def tensor_to(array: NDArray[np.generic]) -> pb.Tensor:
    """An array as a wire tensor."""
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return pb.Tensor(data_type=_TYPES[little.dtype], shape=little.shape, data=little.tobytes())


def ordinals_from(message: pb.Ordinals, most: int = 1 << 24) -> Ordinals | None:
    """Selected ordinals, int64; None for all. Whether the cohort has them is for the cohort to say.

    A range takes no room on the wire and much here: one of more than `most` is refused.
    """
    kind = message.WhichOneof("selection")
    if kind is None:
        return None
    if kind == "range":
        first, count = message.range.first, message.range.count
        if first + count > 1 << 32:
            raise InvalidArgument(f"ordinals {first} … {first + count - 1} go beyond 32 bits")
        if count > most:
            raise InvalidArgument(f"{count:,} agents are too many for one request; select at most {most:,}")
        return np.arange(first, first + count, dtype=np.int64)
    if len(message.packed) % 4:
        raise InvalidArgument(f"packed ordinals take 4 bytes each; {len(message.packed)} bytes are no whole number")
    return np.frombuffer(message.packed, "<u4").astype(np.int64)
