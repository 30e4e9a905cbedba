"""The gated delta rule: decay the memory, then correct its prediction of the value under the key.

Per head, with the state S of V × K:  S ← αS;  e = v − S k;  S ← S + β e kᵀ;  y = S q,  where α = exp(log_decay).
Gated DeltaNet, arXiv:2412.06464. With one-hot keys it is the Rescorla–Wagner rule with forgetting.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..checks import (
    bind_axes,
    require_alike,
    require_dense_rows,
    require_known,
    require_separate_pages,
    require_slots,
)
from . import cpu, naive

STEPS: dict[str, Callable[..., Tensor]] = {"naive": naive.step, "cpu": cpu.step}
SCANS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"naive": naive.scan}


def scan(
    q_BTHK: Tensor,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    log_decay_BTH: Tensor,
    beta_BTH: Tensor,
    state_BHVK: Tensor | None = None,
    *,
    backend: str | None = None,
    normalize: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run whole sequences; returns y_BTHV and the last state. Differentiable in every tensor."""
    inputs = {
        "q_BTHK": q_BTHK,
        "k_BTHK": k_BTHK,
        "v_BTHV": v_BTHV,
        "log_decay_BTH": log_decay_BTH,
        "beta_BTH": beta_BTH,
    }
    extents = bind_axes(**inputs)
    if state_BHVK is None:
        state_BHVK = v_BTHV.new_zeros([extents[axis] for axis in "BHVK"])
    bind_axes(**inputs, state_BHVK=state_BHVK)
    require_alike(**inputs, state_BHVK=state_BHVK)
    backend = backend or "naive"
    require_known("backend", backend, SCANS)
    return SCANS[backend](*inputs.values(), state_BHVK, normalize)


def step(
    pool_NHVK: Tensor,
    q_BHK: Tensor,
    k_BHK: Tensor,
    v_BHV: Tensor,
    log_decay_BH: Tensor,
    beta_BH: Tensor,
    read_B: Tensor,
    write_B: Tensor,
    *,
    backend: str | None = None,
    normalize: bool = True,
) -> Tensor:
    """One token for each row, its state read from page read_B and written to page write_B; returns y_BHV."""
    inputs = {"q_BHK": q_BHK, "k_BHK": k_BHK, "v_BHV": v_BHV, "log_decay_BH": log_decay_BH, "beta_BH": beta_BH}
    bind_axes(pool_NHVK=pool_NHVK, **inputs, read_B=read_B, write_B=write_B)
    require_alike(pool_NHVK=pool_NHVK, **inputs)
    require_dense_rows(pool_NHVK=pool_NHVK, q_BHK=q_BHK, k_BHK=k_BHK, v_BHV=v_BHV)
    require_separate_pages(pool_NHVK)
    require_slots(pool_NHVK.size(0), pool_NHVK.device, read_B, write_B)
    backend = backend or ("cpu" if pool_NHVK.dtype == torch.float32 else "naive")
    require_known("backend", backend, STEPS)
    return STEPS[backend](pool_NHVK, *inputs.values(), read_B, write_B, normalize)
