"""What every rule refuses before it launches anything.

The axes of a tensor are the letters after the underscore of its name (`q_BHK`: rows, heads, key channels), so that the
names alone say which extents must agree.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .errors import InvalidArgument

Run = TypeVar("Run", bound=Callable[..., object])

FLOAT_DTYPES = (torch.float32, torch.float64)
FLOAT_MAX = torch.finfo(torch.float32).max
SLOT_DTYPES: tuple[torch.dtype, ...] = (torch.int32, torch.int64)


class Layout(NamedTuple):
    """All of a tensor but its content: what can be checked once for many calls."""

    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


Layouts = Mapping[str, Layout]


def layout(tensor: Tensor) -> Layout:
    return Layout(tensor.shape, tensor.stride(), tensor.dtype, tensor.device)


# The extent of each axis, and whose it is.
Axes = Mapping[str, tuple[int, str]]


def require_axes(layouts: Layouts, known: Axes | None = None) -> Axes:
    """The axes that are known and those of the tensors.

    InvalidArgument when a tensor has other axes than its name says, two disagree on one, or a state would be empty.
    """
    axes = dict(known or {})
    for name, (shape, *_) in layouts.items():
        letters = name.rpartition("_")[2]
        if len(shape) != len(letters):
            raise InvalidArgument(f"{name} has shape {tuple(shape)}; its axes must be ({', '.join(letters)})")
        for axis, extent in zip(letters, shape, strict=True):
            if extent == 0 and axis not in "BTN":
                raise InvalidArgument(f"{name} has shape {tuple(shape)}: axis {axis} must be at least 1")
            expected, owner = axes.setdefault(axis, (extent, name))
            if extent != expected:
                raise InvalidArgument(f"{name} has shape {tuple(shape)}: axis {axis} must be {expected}, as in {owner}")
    return axes


def require_floats(layouts: Layouts) -> None:
    """InvalidArgument unless these are floating point, of one dtype, on one device."""
    first = next(iter(layouts))
    if layouts[first].dtype not in FLOAT_DTYPES:
        raise InvalidArgument(f"{first} is {layouts[first].dtype}; use torch.float32 or torch.float64")
    for name, found in layouts.items():
        if found[2:] != layouts[first][2:]:
            raise InvalidArgument(f"{name} is {_place(found)}; it must be {_place(layouts[first])}, as {first} is")


def require_pool(pools: Layouts, inputs: Layout, noise: Sequence[Layout]) -> None:
    """InvalidArgument unless the pool has the device of the inputs, and their dtype or, alone with noise, bfloat16."""
    (name, pool), *_ = pools.items()
    if pool.dtype not in (inputs.dtype, torch.bfloat16) or pool.device != inputs.device:
        raise InvalidArgument(
            f"{name} is {_place(pool)}; it must be {_place(inputs)}, as the inputs are, or torch.bfloat16 there"
        )
    if noise and pool.dtype != torch.bfloat16:
        raise InvalidArgument(f"{name} is {pool.dtype}, which is not rounded; leave noise_B out")


def require_integers(layouts: Layouts, device: torch.device) -> None:
    """InvalidArgument unless slots and noise are integers on the device of the pool; see `slots.require_slots`, too."""
    for name, found in layouts.items():
        allowed = (torch.int64,) if name == "noise_B" else SLOT_DTYPES
        if found.dtype not in allowed:
            raise InvalidArgument(f"{name} is {found.dtype}; use {' or '.join(map(str, allowed))}")
        if found.device != device:
            raise InvalidArgument(f"{name} is on {found.device}; move it to {device}, where the pool is")


def require_dense_rows(layouts: Layouts) -> None:
    """InvalidArgument unless the last axis of each is contiguous; the other strides are free."""
    for name, (shape, strides, *_) in layouts.items():
        if shape[-1] > 1 and strides[-1] != 1:
            raise InvalidArgument(f"{name} has strides {strides}; its last axis must be contiguous (stride 1)")


def require_separate_pages(pools: Layouts) -> None:
    """InvalidArgument when two pages of the pool share memory, as those of an expanded tensor do."""
    for name, pool in pools.items():
        (pages, *shape), (stride, *strides) = pool[:2]
        reach = 1 + sum((extent - 1) * step for extent, step in zip(shape, strides, strict=True))
        if pages > 1 and stride < reach:
            raise InvalidArgument(
                f"{name} has strides {pool.strides} for shape {tuple(pool.shape)}: its pages overlap; "
                "pass a view of a [pages, …] tensor, not an expanded one"
            )


def require_values(name: str, x: Tensor, low: float = -FLOAT_MAX, high: float = FLOAT_MAX) -> None:
    """InvalidArgument when an entry is NaN or lies outside of [low, high]. Waits for the device."""
    good = (x >= low) & (x <= high)
    if not bool(good.all()):
        place = tuple((~good).nonzero()[0].tolist())
        raise InvalidArgument(f"{name} has {x[place].item():g} at {place}; its entries lie in [{low:g}, {high:g}]")


def _place(layout: Layout) -> str:
    return f"{layout.dtype} on {layout.device}"


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
