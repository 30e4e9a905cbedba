"""Observation and action spaces: gymnasium's, with a JSON form and a flat encoding for the network.

Shapes: B rows, F encoded width.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from plures_kernels.errors import InvalidArgument
from torch import Tensor
from torch.nn.functional import one_hot

FLOAT32_MAX = float(np.finfo(np.float32).max)


def space_to_json(space: Space[Any]) -> dict[str, Any]:
    """The JSON form of a Discrete, flat MultiDiscrete or Box space, counted from 0; unbounded limits are null."""
    if isinstance(space, Discrete | MultiDiscrete) and np.any(space.start != 0):
        raise InvalidArgument(f"{space} must start at 0; take the start off the values")
    if isinstance(space, Discrete):
        return {"type": "Discrete", "n": int(space.n)}
    if isinstance(space, MultiDiscrete):
        if space.nvec.ndim != 1 or space.nvec.size == 0:
            raise InvalidArgument(
                f"{space} must have one axis, not {space.nvec.ndim}, and at least one entry; flatten it"
            )
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist()}
    if isinstance(space, Box):
        low, high = (_bounds_to_json(bound) for bound in (space.low, space.high))
        return {"type": "Box", "shape": list(space.shape), "low": low, "high": high}
    raise InvalidArgument(f"space {space!r} is not Discrete, MultiDiscrete or Box")


def space_from_json(form: object) -> Space[Any]:
    """The space that `space_to_json` described; raise InvalidArgument for anything else."""
    if not isinstance(form, dict) or type(form.get("type")) is not str:
        raise InvalidArgument(f"a space is a JSON object with a type, not {form!r}")
    if form["type"] not in _READERS:
        raise InvalidArgument(f"space type {form['type']!r} is not one of {', '.join(_READERS)}")
    try:
        return _READERS[form["type"]](form)
    except (KeyError, TypeError, ValueError, OverflowError, AssertionError) as error:
        raise InvalidArgument(f"space {form!r} is not well formed: {error!r}") from error


def _read_multidiscrete(form: dict[str, Any]) -> MultiDiscrete:
    if not (nvec := _whole_numbers(form["nvec"])):
        raise ValueError("nvec is empty")
    return MultiDiscrete(nvec)


def _read_box(form: dict[str, Any]) -> Box:
    shape = tuple(_whole_numbers(form["shape"]))
    low, high = (_bounds_from_json(form[side], shape, sign) for side, sign in (("low", -1), ("high", 1)))
    return Box(low, high, shape, np.float32)


_READERS: dict[str, Callable[[dict[str, Any]], Space[Any]]] = {
    "Discrete": lambda form: Discrete(_whole_numbers([form["n"]])[0]),
    "MultiDiscrete": _read_multidiscrete,
    "Box": _read_box,
}


def _whole_numbers(values: list[Any]) -> list[int]:
    # Python would also take 2.7 and "2" and true for whole numbers.
    for value in values:
        if type(value) is not int:
            raise TypeError(f"{value!r} is not a whole number")
    return values


def _bounds_to_json(bound: np.ndarray[Any, Any]) -> list[float | None]:
    return [float(x) if math.isfinite(x) else None for x in bound.ravel()]


def _bounds_from_json(bound: list[Any], shape: tuple[int, ...], sign: int) -> np.ndarray[Any, Any]:
    for x in bound:
        if x is not None and not (type(x) in (int, float) and abs(x) <= FLOAT32_MAX):
            raise ValueError(f"{x!r} is neither null nor a finite float32")
    return np.array([sign * np.inf if x is None else x for x in bound], np.float32).reshape(shape)


def encoded_width(space: Space[Any]) -> int:
    """Width F of `encode`. A Discrete space of one element says nothing and has width 0."""
    if isinstance(space, Discrete):
        return int(space.n) if space.n > 1 else 0
    if isinstance(space, MultiDiscrete):
        return int(space.nvec.sum())
    return math.prod(space.shape or ())


def encode(space: Space[Any], observation: Tensor) -> Tensor:
    """Observations [..., *space.shape] as float32 [..., F]: one-hot for discrete spaces, flat for Box."""
    if isinstance(space, Discrete):
        return one_hot(observation.long(), int(space.n)).float()[..., : encoded_width(space)]
    if isinstance(space, MultiDiscrete):
        columns = observation.long().unbind(-1)
        return torch.cat([one_hot(c, int(n)).float() for c, n in zip(columns, space.nvec, strict=True)], dim=-1)
    leading = observation.shape[: observation.ndim - len(space.shape or ())]
    return observation.float().reshape(*leading, encoded_width(space))


def dtype_of(space: Space[Any]) -> torch.dtype:
    """How elements of a space travel and are stored: int32 for discrete spaces, float32 for Box."""
    return torch.float32 if isinstance(space, Box) else torch.int32


def check_elements(space: Space[Any], values: Tensor, what: str) -> None:
    """Raise InvalidArgument unless `values` [B, *space.shape] are elements of the space, naming row and value."""
    if values.ndim == 0 or values.shape[1:] != (space.shape or ()) or values.dtype != dtype_of(space):
        wanted = f"{dtype_of(space)} [rows, {', '.join(map(str, space.shape or ()))}]"
        raise InvalidArgument(f"{what} is {values.dtype} {list(values.shape)}, but {space} wants {wanted}")
    good = is_element(space, values)
    if not bool(good.all()):
        where = (~good).nonzero()[0].tolist()
        raise InvalidArgument(f"{what} {values[tuple(where)].item()} of row {where[0]} is not in {space}")


def is_element(space: Space[Any], values: Tensor) -> Tensor:
    """Which numbers of `values` [..., *space.shape], of the space's dtype, are within the space: bool, same shape."""
    if isinstance(space, Box):
        if not (space.bounded_below.any() or space.bounded_above.any()):
            return values.isfinite()
        low, high = (torch.from_numpy(bound).to(values.device) for bound in (space.low, space.high))
        return values.isfinite() & (values >= low) & (values <= high)
    if isinstance(space, Discrete):
        return (values >= 0) & (values < int(space.n))
    assert isinstance(space, MultiDiscrete)
    return (values >= 0) & (values < torch.as_tensor(space.nvec, device=values.device))
