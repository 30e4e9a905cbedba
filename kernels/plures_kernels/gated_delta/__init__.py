"""The gated delta rule: decay the memory, then correct its prediction of the value under the key.

Per head, with the state S of V × K:

    S ← αS      e = v − S k      S ← S + β e kᵀ      y = S q      where α = exp(log_decay)

Gated DeltaNet, arXiv:2412.06464, eq. 10. Without decay, a step is one of gradient descent on ½‖S k − v‖² with learning
rate β; with one-hot keys, the Rescorla–Wagner rule with forgetting.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..checks import (
    Layout,
    choose_backend,
    layout,
    require_axes,
    require_dense_rows,
    require_floats,
    require_separate_pages,
    require_slot_tensors,
)
from ..slots import require_slots
from . import chunk, cpu, cpu_scan, naive

Scan = Callable[..., tuple[Tensor, Tensor]]
Step = Callable[..., Tensor]


def _triton_step(*arguments: Any) -> Tensor:
    # Imported when first used: Triton is slow to import and does not exist on every system.
    from .triton import step as launch

    return launch(*arguments)


STEPS: dict[str, Step] = {"naive": naive.step, "cpu": cpu.step, "triton": _triton_step}
SCANS: dict[str, Scan] = {"naive": naive.scan, "chunk": chunk.scan, "cpu": cpu_scan.scan}
# The backends that are made for one device and dtype, and chosen there; "naive" and "chunk" are for all others.
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
    if state_BHVK is None:
        state_BHVK = v_BTHV.new_zeros(*v_BTHV.shape[:1], *v_BTHV.shape[2:], *k_BTHK.shape[3:])
    tensors = q_BTHK, k_BTHK, v_BTHV, log_decay_BTH, beta_BTH, state_BHVK
    return _scan_for(backend, *map(layout, tensors))(*tensors, normalize)


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
    `check`: look for bad slots first, which would corrupt memory; None does so on the CPU only, since elsewhere it
    waits for the device.
    InvalidArgument: what does not fit together, or bad slots; nothing has been written then.
    """
    tensors = pool_NHVK, q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH, read_B, write_B
    run = _step_for(backend, *map(layout, tensors))
    if check or (check is None and pool_NHVK.device.type == "cpu"):
        require_slots(pool_NHVK.size(0), read_B, write_B)
    return run(*tensors, normalize)


# A model calls with few layouts many times: each is checked once.
@lru_cache(maxsize=1024)
def _scan_for(backend: str | None, *layouts: Layout) -> Scan:
    names = "q_BTHK", "k_BTHK", "v_BTHV", "log_decay_BTH", "beta_BTH", "state_BHVK"
    named = dict(zip(names, layouts, strict=True))
    require_axes(named)
    require_floats(named, names)
    return choose_backend(SCANS, SCAN_FOR, "chunk", named["q_BTHK"], backend)


@lru_cache(maxsize=1024)
def _step_for(backend: str | None, *layouts: Layout) -> Step:
    names = "pool_NHVK", "q_BHK", "k_BHK", "v_BHV", "log_decay_BH", "beta_BH", "read_B", "write_B"
    named = dict(zip(names, layouts, strict=True))
    pool = named["pool_NHVK"]
    require_axes(named)
    require_floats(named, names[:6])
    require_slot_tensors(named, names[6:], pool.device)
    require_dense_rows(named, names[:4])
    require_separate_pages(named, "pool_NHVK")
    return choose_backend(STEPS, STEP_FOR, "naive", pool, backend)
