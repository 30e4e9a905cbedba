"""numpy arrays ↔ `plures.v1.Tensor`: row-major little-endian bytes, checked on receipt."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from plures.v1.tensor_pb2 import (
    DATA_TYPE_FLOAT32,
    DATA_TYPE_INT32,
    DATA_TYPE_INT64,
    DATA_TYPE_UINT8,
    DATA_TYPE_UINT32,
    DATA_TYPE_UINT64,
    DataType,
    Tensor,
)

from .errors import DataLoss, InvalidArgument

DTYPES: dict[DataType.ValueType, np.dtype[Any]] = {
    DATA_TYPE_UINT8: np.dtype("u1"),
    DATA_TYPE_INT32: np.dtype("<i4"),
    DATA_TYPE_UINT32: np.dtype("<u4"),
    DATA_TYPE_INT64: np.dtype("<i8"),
    DATA_TYPE_UINT64: np.dtype("<u8"),
    DATA_TYPE_FLOAT32: np.dtype("<f4"),
}
DATA_TYPES = {dtype: data_type for data_type, dtype in DTYPES.items()}


def encode(values: ArrayLike, dtype: DTypeLike) -> Tensor:
    """The tensor of `values` as `dtype`; raise InvalidArgument when a value does not fit it."""
    array = cast(values, dtype)
    return Tensor(data_type=DATA_TYPES[array.dtype], shape=array.shape, data=array.tobytes())


def decode(tensor: Tensor, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """The read-only array over a tensor's bytes; raise DataLoss unless it has `dtype` and `shape` (None: any)."""
    wanted = np.dtype(dtype).newbyteorder("<")
    found = DTYPES.get(tensor.data_type)
    if found != wanted:
        raise DataLoss(f"the server sent a tensor of {found}, where the contract says {wanted}")
    extents = tuple(tensor.shape)
    if len(extents) != len(shape) or any(n not in (None, m) or m < 0 for n, m in zip(shape, extents, strict=True)):
        raise DataLoss(f"the server sent a tensor of shape {extents}, where the contract says {shape}")
    data = tensor.data
    if len(data) != prod(extents) * wanted.itemsize:
        raise DataLoss(f"the server sent {len(data)} bytes for a tensor of {wanted} {extents}")
    return np.frombuffer(data, wanted).reshape(extents)


def cast(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """`values` as a row-major little-endian array; raise InvalidArgument when a value does not fit the type."""
    wanted = np.dtype(dtype).newbyteorder("<")
    array = np.asarray(values)
    if not np.can_cast(array.dtype, wanted, "same_kind") and not _is_whole(array, wanted):
        raise InvalidArgument(f"{array.dtype} values given where {wanted} is wanted; convert them first")
    if wanted.kind in "iu":
        _check_range(array, wanted)
    with np.errstate(over="ignore"):
        return np.asarray(array, wanted, order="C")


def _is_whole(array: NDArray[Any], wanted: np.dtype[Any]) -> bool:
    # Signed integers are not `same_kind` as unsigned ones, yet 0, 1, 2 are what people write; the range is checked.
    return (array.dtype.kind in "iu" and wanted.kind in "iu") or array.size == 0


def _check_range(array: NDArray[Any], wanted: np.dtype[Any]) -> None:
    if array.size == 0 or np.can_cast(array.dtype, wanted):
        return
    limits = np.iinfo(wanted)
    low, high = int(array.min()), int(array.max())
    if low < limits.min or high > limits.max:
        raise InvalidArgument(f"values from {low} to {high} given where {wanted} is wanted")
