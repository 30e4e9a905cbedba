"""The contract of a fast-weight memory: what every entry of `RULES` is.

B rows (or sequences), T time, H heads, K key channels, V value channels, S floats of a head's state, N pages.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

import torch
from torch import Tensor

from . import checks, plain
from .checks import Layout, Layouts, layout
from .errors import InvalidArgument
from .slots import require_slots
from .spec import Inputs, Kind, Spec

# inputs, state_BHS, normalize → y_BTHV, the last state_BHS
ScanBackend = Callable[[Inputs, Tensor, bool], tuple[Tensor, Tensor]]
# pool_NHS, inputs, read_B, write_B, noise_B, normalize → y_BHV
StepBackend = Callable[[Tensor, Inputs, Tensor, Tensor, Tensor | None, bool], Tensor]
Choice = Mapping[tuple[str, torch.dtype], str]


@dataclass(frozen=True, eq=False)
class Rule:
    """Advances a head's state by one token after another: `scan` in training, `step` in serving.

    `advance` is the rule itself, one token in plain torch. `scans` and `steps` are the backends beside "naive", which
    is `advance` in a loop; `scan_for` and `step_for` say which is made for a device and dtype, `scan_general` which is
    for all others. Newborns have a state of zeros.
    """

    name: str
    spec: Spec
    advance: plain.Advance
    scans: Mapping[str, ScanBackend] = field(default_factory=dict)
    steps: Mapping[str, StepBackend] = field(default_factory=dict)
    scan_for: Choice = field(default_factory=dict)
    step_for: Choice = field(default_factory=dict)
    scan_general: str = "naive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scans", {"naive": partial(plain.scan, self.spec, self.advance), **self.scans})
        object.__setattr__(self, "steps", {"naive": partial(plain.step, self.spec, self.advance), **self.steps})

    def scan(
        self, inputs: Inputs, state_BHS: Tensor | None = None, *, backend: str | None = None, normalize: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Run whole sequences from a state (zeros when None); returns y_BTHV and the last state_BHS.

        `inputs`: those of `spec.inputs`, tokens with leading axes B, T. Differentiable in every tensor; any strides.
        With `normalize`, keys and queries are divided by sqrt(Σ x² + 1e-6); nothing is scaled by K^-1/2.
        `backend`: one of `scans`; None takes the fastest for the device and dtype.
        InvalidArgument: shapes, dtypes or devices that do not fit together.
        """
        state = () if state_BHS is None else (state_BHS,)
        run, shape = _scan_for(self, backend, tuple(map(layout, inputs)), tuple(map(layout, state)))
        return run(inputs, inputs[0].new_zeros(shape) if state_BHS is None else state_BHS, normalize)

    def step(
        self,
        pool_NHS: Tensor,
        inputs: Inputs,
        read_B: Tensor,
        write_B: Tensor,
        *,
        noise_B: Tensor | None = None,
        backend: str | None = None,
        normalize: bool = True,
        check: bool | None = None,
    ) -> Tensor:
        """One token a row: its state is read from page read_B, written to page write_B, in place; returns y_BHV.

        Rows may read one page together; each page is written by one row at most, and then read by no other. A row with
        write slot -1 is skipped, its y is 0. The pool may have any strides but along S, which is contiguous, as the
        last axis of every input is that has more than one number a head; slots are int32 or int64. Not differentiable.
        A pool of bfloat16 is computed on in the dtype of the inputs. `noise_B` (int64, 64 random bits a row) then
        rounds each state up or down so that it is right on average (`rounding`); without it, to the nearest.
        `backend`: one of `steps`; None takes the fastest for the device and dtype.
        `check`: True looks for bad slots, which would corrupt memory, and for inputs that are not finite or not of
        their kind; None looks at slots alone, and on the CPU only, since elsewhere that waits for the device.
        InvalidArgument: what does not fit together, or was found; nothing has been written then.
        """
        noise = () if noise_B is None else (layout(noise_B),)
        run = _step_for(
            self, backend, layout(pool_NHS), tuple(map(layout, inputs)), layout(read_B), layout(write_B), noise
        )
        if check or (check is None and pool_NHS.device.type == "cpu"):
            require_slots(pool_NHS.size(0), read_B, write_B)
        if check:
            for inp, x in zip(self.spec.inputs, inputs, strict=True):
                checks.require_values(inp.named("B"), x, *LIMITS.get(inp.kind, ()))
        return run(pool_NHS, inputs, read_B, write_B, noise_B, normalize)

    def _named(self, leading: str, layouts: tuple[Layout, ...]) -> dict[str, Layout]:
        inputs = self.spec.inputs
        if len(layouts) != len(inputs):
            names = ", ".join(inp.name for inp in inputs)
            raise InvalidArgument(f"rule {self.name!r} has {len(inputs)} inputs ({names}), not {len(layouts)}")
        return {inp.named(leading): x for inp, x in zip(inputs, layouts, strict=True)}

    def _state_axes(self, inputs: Layouts) -> checks.Axes:
        """The axes that the inputs have, and S, which follows from them."""
        axes = checks.require_axes(inputs)
        extents = {axis: extent for axis, (extent, _) in axes.items()}
        sizes = ", ".join(
            f"{axis} = {extents[axis]}" for axis in dict.fromkeys("".join(p.axes for p in self.spec.state))
        )
        return {**axes, "S": (self.spec.state_floats(extents), f"a state of rule {self.name!r} with {sizes}")}


LIMITS = {Kind.LOG_DECAY: (-torch.inf, 0.0), Kind.RATE: (0.0, 1.0)}


# A model calls with few layouts many times: each is checked once.
@lru_cache(maxsize=1024)
def _scan_for(
    rule: Rule, backend: str | None, inputs: tuple[Layout, ...], state: tuple[Layout, ...]
) -> tuple[ScanBackend, tuple[int, int, int]]:
    """The backend, and the shape of the state."""
    named = rule._named("BT", inputs)
    axes = rule._state_axes(named)
    stated = dict(zip(["state_BHS"], state, strict=False))
    checks.require_axes(stated, axes)
    checks.require_floats(named | stated)
    run = checks.choose_backend(rule.scans, rule.scan_for, rule.scan_general, inputs[0], backend)
    return run, (axes["B"][0], axes["H"][0], axes["S"][0])


@lru_cache(maxsize=1024)
def _step_for(
    rule: Rule, backend: str | None, pool: Layout, inputs: tuple[Layout, ...], read: Layout, write: Layout,
    noise: tuple[Layout, ...],
) -> StepBackend:  # fmt: skip
    named = rule._named("B", inputs)
    axes = rule._state_axes(named)
    pools = {"pool_NHS": pool}
    integers = {"read_B": read, "write_B": write, **dict(zip(["noise_B"], noise, strict=False))}
    checks.require_axes(pools | integers, axes)
    checks.require_floats(named)
    checks.require_pool(pools, inputs[0], noise)
    checks.require_integers(integers, pool.device)
    checks.require_dense_rows(
        pools | {inp.named("B"): named[inp.named("B")] for inp in rule.spec.inputs if len(inp.axes) > 1}
    )
    checks.require_separate_pages(pools)
    made_for = pool if inputs[0].dtype == torch.float32 else inputs[0]
    return checks.choose_backend(rule.steps, rule.step_for, "naive", made_for, backend)
