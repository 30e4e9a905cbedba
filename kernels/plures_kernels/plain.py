"""Any rule in plain torch from its one-token `advance`: the truth that the other backends are tested against.

B rows (or sequences), T time, H heads, V value channels, S floats of a head's state, N pages.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .norm import unit
from .rounding import rounded
from .spec import Inputs, Kind, Spec

# parts of the state [B, H, …], then the inputs with leading axis B → y_BHV and the new parts
Advance = Callable[..., tuple[Tensor, Sequence[Tensor]]]


def scan(spec: Spec, advance: Advance, inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`, by a loop over time."""
    extents = spec.extents(inputs)
    inputs = _unit_directions(spec, inputs, normalize)
    time = next(x.size(1) for inp, x in zip(spec.inputs, inputs, strict=True) if inp.kind is not Kind.WEIGHT)
    outputs = [state_BHS.new_zeros(state_BHS.size(0), 0, extents["H"], extents["V"])]
    for t in range(time):
        y_BHV, parts = advance(spec.split(state_BHS, extents), *_pick(spec, inputs, (slice(None), t)))
        state_BHS = spec.join(parts)
        outputs.append(y_BHV[:, None])
    return torch.cat(outputs, dim=1), state_BHS


def step(
    spec: Spec,
    advance: Advance,
    pool_NHS: Tensor,
    inputs: Inputs,
    read_B: Tensor,
    write_B: Tensor,
    noise_B: Tensor | None,
    normalize: bool,
) -> Tensor:
    """As `Rule.step`, by gather, `advance` and scatter; a pool of bfloat16 is computed on in the inputs' dtype."""
    extents, dtype = spec.extents(inputs), inputs[0].dtype
    y_BHV = torch.zeros(len(write_B), extents["H"], extents["V"], dtype=dtype, device=pool_NHS.device)
    live_B = write_B >= 0
    live = _pick(spec, _unit_directions(spec, inputs, normalize), (live_B,))
    y_BHV[live_B], parts = advance(spec.split(pool_NHS[read_B[live_B]].to(dtype), extents), *live)
    noise = None if noise_B is None else noise_B[live_B]
    pool_NHS[write_B[live_B]] = rounded(spec.join(parts), pool_NHS.dtype, noise)
    return y_BHV


def _unit_directions(spec: Spec, inputs: Inputs, normalize: bool) -> Inputs:
    pairs = zip(spec.inputs, inputs, strict=True)
    return [unit(x) if normalize and inp.kind is Kind.DIRECTION else x for inp, x in pairs]


def _pick(spec: Spec, inputs: Inputs, where: tuple[slice | int | Tensor, ...]) -> Inputs:
    """The inputs at some rows, or one time; weights are the same everywhere."""
    return [x if inp.kind is Kind.WEIGHT else x[where] for inp, x in zip(spec.inputs, inputs, strict=True)]
