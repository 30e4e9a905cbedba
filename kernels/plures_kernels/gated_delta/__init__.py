"""The gated delta rule: decay the memory, then correct its prediction of the value under the key.

Per head, with the state S of V × K:

    S ← αS      e = v − S k      S ← S + β e kᵀ      y = S q      where α = exp(log_decay)

Gated DeltaNet, arXiv:2412.06464, eq. 10. Without decay, a step is one of gradient descent on ½‖S k − v‖² with learning
rate β; with one-hot keys, the Rescorla–Wagner rule with forgetting.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..checks import (
    bind_axes,
    choose_backend,
    require_alike,
    require_dense_rows,
    require_separate_pages,
    require_slot_tensors,
)
from ..slots import require_slots
from . import chunk, cpu, cpu_scan, naive


def _triton_step(*arguments: Any) -> Tensor:
    # Imported when first used: Triton is slow to import and does not exist on every system.
    from .triton import step as launch

    return launch(*arguments)


STEPS: dict[str, Callable[..., Tensor]] = {"naive": naive.step, "cpu": cpu.step, "triton": _triton_step}
SCANS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "naive": naive.scan,
    "chunk": chunk.scan,
    "cpu": cpu_scan.scan,
}
# The backends that are made for one device and dtype, and chosen there; elsewhere the last name of each.
STEP_FOR = {("cpu", torch.float32): "cpu", ("cuda", torch.float32): "triton"}
SCAN_FOR = {("cpu", torch.float32): "cpu"}


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
    """Run whole sequences from a state (zeros when None); returns y_BTHV and the last state_BHVK.

    Differentiable in every tensor; any strides. log_decay ≤ 0 is a natural logarithm, β a learning rate in [0, 1].
    With `normalize`, q and k are divided by sqrt(Σ x² + 1e-6); nothing is scaled by K^-1/2.
    A token with β = 0 and log_decay = 0 leaves the state as it is: pad ragged batches with such tokens on the right.
    `backend`: "cpu" (float32), "chunk" or "naive"; None takes the fastest for the device and dtype.
    InvalidArgument: shapes, dtypes or devices that do not fit together.
    """
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
    run = choose_backend(SCANS, SCAN_FOR, "chunk", q_BTHK, backend)
    return run(*inputs.values(), state_BHVK, normalize)


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
    check: bool | None = None,
) -> Tensor:
    """One token a row: its state is read from page read_B, written to page write_B, in place; returns y_BHV.

    Rows may read one page together; each page is written by one row at most, and then read by no other. A row with
    write slot -1 is skipped, its y is 0. The pool and q, k, v may have any strides but along their last axis, which is
    contiguous; slots are int32 or int64. Gates and `normalize` as in `scan`. Not differentiable.
    `backend`: "cpu" or "triton" (float32), or "naive"; None takes the fastest for the device and dtype.
    `check`: look for bad slots first; None does so on the CPU only, since elsewhere it waits for the device.
    InvalidArgument: what does not fit together, or bad slots; nothing has been written then.
    """
    inputs = {"q_BHK": q_BHK, "k_BHK": k_BHK, "v_BHV": v_BHV, "log_decay_BH": log_decay_BH, "beta_BH": beta_BH}
    bind_axes(pool_NHVK=pool_NHVK, **inputs, read_B=read_B, write_B=write_B)
    require_alike(pool_NHVK=pool_NHVK, **inputs)
    require_dense_rows(pool_NHVK=pool_NHVK, q_BHK=q_BHK, k_BHK=k_BHK, v_BHV=v_BHV)
    require_separate_pages(pool_NHVK)
    require_slot_tensors(pool_NHVK.device, read_B=read_B, write_B=write_B)
    run = choose_backend(STEPS, STEP_FOR, "naive", pool_NHVK, backend)
    if check or (check is None and pool_NHVK.device.type == "cpu"):
        require_slots(pool_NHVK.size(0), read_B, write_B)
    return run(pool_NHVK, *inputs.values(), read_B, write_B, normalize)
