"""What replay refuses before it launches anything.

A slots, B rows, H heads, L factors, K key channels, V value channels, G gates of a head, M bases, N pages, S floats of
a head's state.
"""

from functools import lru_cache

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from .. import checks
from ..checks import Layout, Layouts, layout
from ..errors import InvalidArgument
from .factors import Base, Factors, Tokens

FACTORS = "keys_AHLK", "updates_AHLV", "decays_AHLG", "count_A"
BASE = "states_MHS", "index_B"
Named = tuple[tuple[str, Layout], ...]


def layouts(factors: Factors, base: Base | None, **others: Tensor) -> Named:
    """The layouts of all tensors of a call, by name."""
    found = dict(zip(FACTORS, factors.tensors, strict=True)) | others
    if base is not None:
        found |= dict(zip(BASE, (base.states_MHS, base.index_B), strict=True))
    return tuple((name, layout(x)) for name, x in found.items())


def token_layouts(tokens: Tokens) -> dict[str, Tensor]:
    return dict(zip(tokens._fields, tokens, strict=True))


# A model calls with few layouts many times: each is checked once.
@lru_cache(maxsize=1024)
def require_layouts(named: Named) -> None:
    """InvalidArgument unless the tensors of a step or of a densification fit together."""
    found = dict(named)
    axes = checks.require_axes({name: x for name, x in found.items() if not name.endswith("S")})
    floats = axes["K"][0] * axes["V"][0], f"a state with K = {axes['K'][0]}, V = {axes['V'][0]}"
    pools = {name: x for name, x in found.items() if name.endswith("S")}
    integers = {name: x for name, x in found.items() if name.rpartition("_")[0] in ("slot", "index", "write", "noise")}
    tensors = {name: x for name, x in found.items() if name not in (*pools, *integers, "count_A")}
    checks.require_axes(pools, {**axes, "S": floats})
    _require_gates(axes)
    checks.require_floats(tensors)
    _require_pools(pools, found)
    checks.require_integers(integers, found["count_A"].device)
    checks.require_dense_rows(pools | {name: x for name, x in tensors.items() if name[-2:] not in ("BH", "HG")})
    _require_counts(found)


def _require_gates(axes: checks.Axes) -> None:
    (gates, owner), (channels, _) = axes["G"], axes["K"]
    if gates not in (1, channels):
        raise InvalidArgument(
            f"{owner} has {gates} gates a head; use 1 or {channels}, one for each channel of the keys"
        )


def _require_pools(pools: Layouts, found: Layouts) -> None:
    for name, pool in pools.items():
        checks.require_pool({name: pool}, found["keys_AHLK"], [x for other, x in found.items() if other == "noise_B"])
    if "pool_NHS" in pools:
        checks.require_separate_pages({"pool_NHS": pools["pool_NHS"]})


def _require_counts(found: Layouts) -> None:
    keys, count = found["keys_AHLK"], found["count_A"]
    if count.dtype != torch.int64 or count.device != keys.device:
        raise InvalidArgument(f"count_A is {count.dtype} on {count.device}; it must be torch.int64 on {keys.device}")


def require_room(factors: Factors, slot_B: Tensor) -> None:
    """InvalidArgument unless each live row's slot exists, is its alone, and has room for one more factor."""
    row = require_slots(slot_B, factors.count_A, factors.window)
    if row >= 0:
        raise InvalidArgument(
            f"row {row}: slot {int(slot_B[row])} has {factors.window} factors, which is all that it has room for; "
            "densify it before its next step"
        )


def require_slots(slot_B: Tensor, count_A: Tensor, window: int | None = None) -> int:
    """The first live row whose slot has `window` factors, or -1.

    InvalidArgument when a live row's slot does not exist, or is another's, too.
    """
    slots, counts = _on_cpu(slot_B), _on_cpu(count_A)
    missing, full, ascending = _first_bad(slots, counts, np.iinfo(np.int64).max if window is None else window)
    if missing >= 0:
        raise InvalidArgument(
            f"row {missing} has slot {slots[missing]}; there are slots 0 to {len(counts) - 1}, "
            "and a row to skip has slot -1"
        )
    if not ascending:
        _require_distinct(slots)
    return full


def _require_distinct(slot_B: NDArray[np.int64]) -> None:
    order = np.argsort(slot_B, kind="stable")
    same = (slot_B[order[1:]] == slot_B[order[:-1]]) & (slot_B[order[1:]] >= 0)
    if same.any():
        first, second = order[(place := int(same.argmax())) : place + 2]
        raise InvalidArgument(f"rows {first} and {second} both have slot {slot_B[first]}; give each its own")


def require_base(base: Base | None, live_B: Tensor) -> None:
    """InvalidArgument unless each live row's base exists."""
    if base is None:
        return
    bad_B = live_B & ((base.index_B < 0) | (base.index_B >= len(base.states_MHS)))
    if bool(bad_B.any()):
        row = int(bad_B.nonzero()[0])
        raise InvalidArgument(
            f"row {row} stands on base {int(base.index_B[row])}; there are bases 0 to {len(base.states_MHS) - 1}"
        )


def _on_cpu(x: Tensor) -> NDArray[np.int64]:
    return x.to("cpu", torch.int64).numpy()


@njit(cache=True, nogil=True)
def _first_bad(slot_B: NDArray[np.int64], count_A: NDArray[np.int64], window: int) -> tuple[int, int, bool]:
    """The first row whose slot does not exist; the first whose slot is full; whether the slots ascend. None: -1."""
    full, last, ascending = -1, -1, True
    for row in range(len(slot_B)):
        slot = slot_B[row]
        if slot == -1:
            continue
        if not 0 <= slot < len(count_A):
            return row, full, False
        if count_A[slot] >= window and full < 0:
            full = row
        ascending &= slot > last
        last = slot
    return -1, full, ascending
