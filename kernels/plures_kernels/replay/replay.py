"""Young memories stepped without a state of their own: `Replay`.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, N pages, S floats of
a head's state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import Layout, choose_backend, layout, require_values
from ..errors import InvalidArgument
from ..lazily import lazily
from ..rule import LIMITS, Rule
from ..slots import require_slots
from ..spec import Inputs
from . import checks, cpu, cpu_densify, naive
from .factors import Base, Factors, Tokens

# factors, slot_B, tokens, base, normalize → y_BHV
StepBackend = Callable[[Factors, Tensor, Tokens, Base | None, bool], Tensor]
# factors, slot_B, pool_NHS, write_B, base, noise_B
DensifyBackend = Callable[[Factors, Tensor, Tensor, Tensor, Base | None, Tensor | None], None]

STEPS: Mapping[str, StepBackend] = {
    "naive": naive.step,
    "cpu": cpu.step,
    "triton": lazily(".triton", "step", __package__),
}
DENSIFIERS: Mapping[str, DensifyBackend] = {
    "naive": naive.densify,
    "cpu": cpu_densify.densify,
    "triton": lazily(".triton_densify", "densify", __package__),
}
MADE_FOR = {("cpu", torch.float32): "cpu", ("cuda", torch.float32): "triton"}


@dataclass(frozen=True, eq=False)
class Replay:
    """A rule of the delta family, stepped from a base and the factors since.

    The rule has the inputs q, k, v and beta, and at most a log_decay, of a head or of each of its K channels.
    """

    rule: Rule

    def empty(
        self, slots: int, window: int, *, H: int, K: int, V: int,
        dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
    ) -> Factors:  # fmt: skip
        """So many slots without factors, with room for `window` of them."""
        per_channel = any(inp.name == "log_decay" and inp.axes == "HK" for inp in self.rule.spec.inputs)
        return Factors.empty(slots, window, H=H, K=K, V=V, G=K if per_channel else 1, dtype=dtype, device=device)

    def step(
        self, factors: Factors, inputs: Inputs, slot_B: Tensor, base: Base | None = None, *,
        backend: str | None = None, normalize: bool = True, check: bool | None = None,
    ) -> Tensor:  # fmt: skip
        """One token a row: reads the factors of slot slot_B and appends one; returns y_BHV, as `Rule.step` would.

        `inputs`: those of the rule. `base`: where the factors begin; None stands for zeros, as newborns have. A row
        with slot -1 is skipped, its y is 0. Factors that are there are not changed. Not differentiable.
        `backend`: one of `STEPS`; None takes the fastest for the device and dtype. `check`: as for `Rule.step`.
        InvalidArgument: what does not fit together; a slot or base that does not exist, a slot named twice, or one
        whose window is full (`densify` it). Nothing has been written then.
        """
        tokens = self._tokens(inputs)
        named = checks.layouts(factors, base, slot_B=slot_B, **checks.token_layouts(tokens))
        checks.require_layouts(named)
        run = choose_backend(STEPS, MADE_FOR, "naive", _made_for(factors.keys_AHLK, *_states(base)), backend)
        live_B = slot_B >= 0
        if check or (check is None and slot_B.device.type == "cpu"):
            checks.require_room(factors, slot_B)
            checks.require_base(base, live_B)
        if check:
            for inp, x in zip(self.rule.spec.inputs, inputs, strict=True):
                require_values(inp.named("B"), x, *LIMITS.get(inp.kind, ()))
        y_BHV = run(factors, slot_B, tokens, base, normalize)
        # Not by a mask, for which the host would wait.
        factors.count_A.index_add_(0, torch.where(live_B, slot_B, 0), live_B.long())
        return y_BHV

    def densify(
        self, factors: Factors, slot_B: Tensor, pool_NHS: Tensor, write_B: Tensor, base: Base | None = None, *,
        noise_B: Tensor | None = None, backend: str | None = None, check: bool | None = None,
    ) -> None:  # fmt: skip
        """Write the state of slot slot_B to page write_B, from where `Rule.step` goes on; the slot has no factors then.

        A row with write slot -1 is skipped. The page may be that of the row's base, but of no other row's. `noise_B`,
        `backend` and `check` as for `Rule.step`; a slot may be named once.
        """
        noise = {} if noise_B is None else {"noise_B": noise_B}
        checks.require_layouts(
            checks.layouts(factors, base, pool_NHS=pool_NHS, slot_B=slot_B, write_B=write_B, **noise)
        )
        run = choose_backend(
            DENSIFIERS, MADE_FOR, "naive", _made_for(factors.keys_AHLK, pool_NHS, *_states(base)), backend
        )
        live_B = write_B >= 0
        if check or (check is None and slot_B.device.type == "cpu"):
            _require_pages(factors, torch.where(live_B, slot_B, -1), pool_NHS, write_B, base)
        run(factors, slot_B, pool_NHS, write_B, base, noise_B)
        factors.count_A.scatter_reduce_(0, torch.where(live_B, slot_B, 0).long(), (~live_B).long(), "prod")

    def _tokens(self, inputs: Inputs) -> Tokens:
        names = [inp.name for inp in self.rule.spec.inputs]
        if len(inputs) != len(names):
            raise InvalidArgument(
                f"rule {self.rule.name!r} has {len(names)} inputs ({', '.join(names)}), not {len(inputs)}"
            )
        named = dict(zip(names, inputs, strict=True))
        beta_BH = named["beta"]
        # Without a decay, all is left: a zero for every row and head.
        log_decay = named.get("log_decay", beta_BH.new_zeros(()).expand_as(beta_BH))
        log_decay_BHG = log_decay if log_decay.dim() > beta_BH.dim() else log_decay[..., None]
        return Tokens(named["q"], named["k"], named["v"], log_decay_BHG, beta_BH)


def _require_pages(factors: Factors, slot_B: Tensor, pool_NHS: Tensor, write_B: Tensor, base: Base | None) -> None:
    checks.require_slots(slot_B, factors.count_A)
    checks.require_base(base, write_B >= 0)
    in_place = base is not None and base.states_MHS.data_ptr() == pool_NHS.data_ptr()
    require_slots(len(pool_NHS), base.index_B if base is not None and in_place else write_B, write_B)


def _states(base: Base | None) -> tuple[Tensor, ...]:
    return () if base is None else (base.states_MHS,)


def _made_for(*tensors: Tensor) -> Layout:
    """The layout that chooses a backend: of the first tensor that is not float32, or of any."""
    return layout(next((x for x in tensors if x.dtype != torch.float32), tensors[0]))
