"""What every rule refuses before it launches anything.

The axes of a tensor are the letters after the underscore of its name (`q_BHK`: rows, heads, key channels), so that the
names alone say which extents must agree.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .errors import InvalidArgument

Run = TypeVar("Run", bound=Callable[..., object])

FLOAT_DTYPES = (torch.float32, torch.float64)
SLOT_DTYPES = (torch.int32, torch.int64)


class Layout(NamedTuple):
    """All of a tensor but its content: what can be checked once for many calls."""

    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


Layouts = Mapping[str, Layout]


def layout(tensor: Tensor) -> Layout:
    return Layout(tensor.shape, tensor.stride(), tensor.dtype, tensor.device)


def require_axes(layouts: Layouts) -> None:
    """InvalidArgument when a tensor has other axes than its name says, two disagree on one, or a state is empty."""
    known: dict[str, tuple[int, str]] = {}
    for name, (shape, *_) in layouts.items():
        axes = name.rpartition("_")[2]
        if len(shape) != len(axes):
            raise InvalidArgument(f"{name} has shape {tuple(shape)}; its axes must be ({', '.join(axes)})")
        for axis, extent in zip(axes, shape, strict=True):
            if extent == 0 and axis in "HKV":
                raise InvalidArgument(f"{name} has shape {tuple(shape)}: axis {axis} must be at least 1")
            expected, owner = known.setdefault(axis, (extent, name))
            if extent != expected:
                raise InvalidArgument(f"{name} has shape {tuple(shape)}: axis {axis} must be {expected}, as in {owner}")


def require_floats(layouts: Layouts, among: Collection[str]) -> None:
    """InvalidArgument unless these are floating point, of one dtype, on one device."""
    first, *rest = among
    if layouts[first].dtype not in FLOAT_DTYPES:
        raise InvalidArgument(f"{first} is {layouts[first].dtype}; use torch.float32 or torch.float64")
    for name in rest:
        found, expected = layouts[name][2:], layouts[first][2:]
        if found != expected:
            raise InvalidArgument(
                f"{name} is {found[0]} on {found[1]}; it must be {expected[0]} on {expected[1]}, as {first} is"
            )


def require_slot_tensors(layouts: Layouts, among: Collection[str], device: torch.device) -> None:
    """InvalidArgument unless these are integers on the device of the pool; `slots.require_slots` looks inside."""
    for name in among:
        if layouts[name].dtype not in SLOT_DTYPES:
            raise InvalidArgument(f"{name} is {layouts[name].dtype}; use torch.int32 or torch.int64")
        if layouts[name].device != device:
            raise InvalidArgument(f"{name} is on {layouts[name].device}; move it to {device}, where the pool is")


def require_dense_rows(layouts: Layouts, among: Collection[str]) -> None:
    """InvalidArgument unless the last axis of each is contiguous; the other strides are free."""
    for name in among:
        shape, strides = layouts[name][:2]
        if shape[-1] > 1 and strides[-1] != 1:
            raise InvalidArgument(f"{name} has strides {strides}; its last axis must be contiguous (stride 1)")


def require_separate_pages(layouts: Layouts, pool: str) -> None:
    """InvalidArgument when two pages of the pool share memory, as those of an expanded tensor do."""
    (pages, *shape), (stride, *strides) = layouts[pool][:2]
    reach = 1 + sum((extent - 1) * step for extent, step in zip(shape, strides, strict=True))
    if pages > 1 and stride < reach:
        raise InvalidArgument(
            f"{pool} has strides {layouts[pool].strides} for shape {tuple(layouts[pool].shape)}: its pages overlap; "
            "pass a view of a [pages, …] tensor, not an expanded one"
        )


def choose_backend(
    backends: Mapping[str, Run],
    made_for: Mapping[tuple[str, torch.dtype], str],
    general: str,
    tensor: Layout,
    name: str | None,
) -> Run:
    """The backend of that name, or when it is None the one made for the tensor's device and dtype, or the general one.

    InvalidArgument when the name is not known, or names a backend made for other tensors.
    """
    kind = tensor.device.type, tensor.dtype
    name = name or made_for.get(kind, general)
    if name not in backends:
        raise InvalidArgument(f"backend {name!r} is not known; use one of {', '.join(sorted(backends))}")
    if name in made_for.values() and made_for.get(kind) != name:
        raise InvalidArgument(f"backend {name!r} is not made for {tensor.dtype} on {tensor.device}; use {general!r}")
    return backends[name]
