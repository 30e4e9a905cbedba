"""Observation and action spaces: gymnasium's, with a JSON form and a flat encoding for the network.

Shapes: B rows, F encoded width.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from plures_kernels.errors import InvalidArgument
from torch import Tensor
from torch.nn.functional import one_hot


def space_to_json(space: Space[Any]) -> dict[str, Any]:
    """The JSON form of a Discrete, MultiDiscrete or Box space; unbounded limits are null."""
    if isinstance(space, Discrete):
        if space.start != 0:
            raise InvalidArgument(f"a Discrete space must start at 0, this one starts at {space.start}")
        return {"type": "Discrete", "n": int(space.n)}
    if isinstance(space, MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": np.ravel(space.nvec).tolist()}
    if isinstance(space, Box):
        low, high = (_bounds_to_json(bound) for bound in (space.low, space.high))
        return {"type": "Box", "shape": list(space.shape), "low": low, "high": high}
    raise InvalidArgument(f"space {space!r} is not Discrete, MultiDiscrete or Box")


def space_from_json(form: object) -> Space[Any]:
    """The space that `space_to_json` described; raise InvalidArgument for anything else."""
    if not isinstance(form, dict) or "type" not in form:
        raise InvalidArgument(f"a space is a JSON object with a type, not {form!r}")
    try:
        if form["type"] == "Discrete":
            return Discrete(int(form["n"]))
        if form["type"] == "MultiDiscrete":
            return MultiDiscrete([int(n) for n in form["nvec"]])
        if form["type"] == "Box":
            shape = tuple(int(n) for n in form["shape"])
            low, high = (_bounds_from_json(form[side], shape, sign) for side, sign in (("low", -1), ("high", 1)))
            return Box(low, high, shape, np.float32)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise InvalidArgument(f"space {form!r} is not well formed: {error!r}") from error
    raise InvalidArgument(f"space type {form['type']!r} is not Discrete, MultiDiscrete or Box")


def _bounds_to_json(bound: np.ndarray[Any, Any]) -> list[float | None]:
    return [float(x) if math.isfinite(x) else None for x in bound.ravel()]


def _bounds_from_json(bound: Sequence[float | None], shape: tuple[int, ...], sign: int) -> np.ndarray[Any, Any]:
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
    return observation.float().flatten(start_dim=observation.ndim - len(space.shape or ()))


def dtype_of(space: Space[Any]) -> torch.dtype:
    """How elements of a space travel and are stored: int32 for discrete spaces, float32 for Box."""
    return torch.float32 if isinstance(space, Box) else torch.int32


def check_elements(space: Space[Any], values: Tensor, what: str) -> None:
    """Raise InvalidArgument unless `values` [B, *space.shape] are elements of the space, naming row and value."""
    if tuple(values.shape[1:]) != (space.shape or ()) or values.dtype != dtype_of(space):
        wanted = f"{dtype_of(space)} [rows, {', '.join(map(str, space.shape or ()))}]"
        raise InvalidArgument(f"{what} is {values.dtype} {list(values.shape)}, but {space} wants {wanted}")
    if isinstance(space, Box):
        low, high = (torch.from_numpy(bound).to(values.device) for bound in (space.low, space.high))
        good = values.isfinite() & (values >= low) & (values <= high)
    else:
        nvec = torch.as_tensor(space.nvec if isinstance(space, MultiDiscrete) else int(space.n), device=values.device)
        good = (values >= 0) & (values < nvec)
    if not bool(good.all()):
        where = (~good).nonzero()[0].tolist()
        raise InvalidArgument(f"{what} {values[tuple(where)].item()} of row {where[0]} is not in {space}")
