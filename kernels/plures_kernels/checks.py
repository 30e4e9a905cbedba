"""What every rule refuses before it launches anything.

The axes of a tensor are the letters after the underscore of its name (`q_BHK`: rows, heads, key channels), so a call
`bind_axes(pool_NHVK=…, q_BHK=…)` both names the tensors and says which extents must agree.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from .errors import InvalidArgument

Run = TypeVar("Run", bound=Callable[..., object])

SLOT_DTYPES = (torch.int32, torch.int64)


def bind_axes(**tensors: Tensor) -> dict[str, int]:
    """Extents by axis letter; InvalidArgument when two tensors disagree on one or a tensor has other axes."""
    extents: dict[str, int] = {}
    owner: dict[str, str] = {}
    for name, tensor in tensors.items():
        axes = name.rpartition("_")[2]
        if tensor.dim() != len(axes):
            raise InvalidArgument(f"{name} has shape {tuple(tensor.shape)}; its axes must be ({', '.join(axes)})")
        for axis, extent in zip(axes, tensor.shape, strict=True):
            if extents.setdefault(axis, extent) != extent:
                raise InvalidArgument(
                    f"{name} has shape {tuple(tensor.shape)}: axis {axis} must be {extents[axis]}, as in {owner[axis]}"
                )
            owner.setdefault(axis, name)
    return extents


def require_alike(**tensors: Tensor) -> None:
    """InvalidArgument unless all tensors are floating point, of one dtype, on one device."""
    (first_name, first), *_ = tensors.items()
    if first.dtype not in (torch.float32, torch.float64):
        raise InvalidArgument(f"{first_name} is {first.dtype}; use torch.float32 or torch.float64")
    for name, tensor in tensors.items():
        if tensor.dtype != first.dtype or tensor.device != first.device:
            raise InvalidArgument(
                f"{name} is {tensor.dtype} on {tensor.device}; it must be {first.dtype} on {first.device}, "
                f"as {first_name} is"
            )


def require_dense_rows(**tensors: Tensor) -> None:
    """InvalidArgument unless the last axis of each tensor is contiguous; the other strides are free."""
    for name, tensor in tensors.items():
        if tensor.size(-1) > 1 and tensor.stride(-1) != 1:
            raise InvalidArgument(f"{name} has strides {tensor.stride()}; its last axis must be contiguous (stride 1)")


def require_separate_pages(pool_NHVK: Tensor) -> None:
    """InvalidArgument when two pages of the pool share memory, as those of an expanded tensor do."""
    pages, *page_shape = pool_NHVK.shape
    stride, *page_strides = pool_NHVK.stride()
    reach = 1 + sum((extent - 1) * step for extent, step in zip(page_shape, page_strides, strict=True))
    if pages > 1 and stride < reach:
        raise InvalidArgument(
            f"pool_NHVK has strides {pool_NHVK.stride()} for shape {tuple(pool_NHVK.shape)}: its pages overlap; "
            "pass a view of a [pages, …] tensor, not an expanded one"
        )


def require_slot_tensors(device: torch.device, **slots: Tensor) -> None:
    """InvalidArgument unless the slots are integers on the device of the pool; `slots.require_slots` looks inside."""
    for name, slots_B in slots.items():
        if slots_B.dtype not in SLOT_DTYPES:
            raise InvalidArgument(f"{name} is {slots_B.dtype}; use torch.int32 or torch.int64")
        if slots_B.device != device:
            raise InvalidArgument(f"{name} is on {slots_B.device}; move it to {device}, where the pool is")


def choose_backend(
    backends: Mapping[str, Run],
    made_for: Mapping[tuple[str, torch.dtype], str],
    general: str,
    of: Tensor,
    name: str | None,
) -> Run:
    """The backend of that name, or when it is None the one made for the tensor's device and dtype, or the general one.

    InvalidArgument when the name is not known, or names a backend made for other tensors.
    """
    kind = of.device.type, of.dtype
    name = name or made_for.get(kind, general)
    if name not in backends:
        raise InvalidArgument(f"backend {name!r} is not known; use one of {', '.join(sorted(backends))}")
    if name in made_for.values() and made_for.get(kind) != name:
        raise InvalidArgument(f"backend {name!r} is not made for {of.dtype} on {of.device}; use {general!r}")
    return backends[name]
