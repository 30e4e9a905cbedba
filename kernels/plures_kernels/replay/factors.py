"""What a young memory keeps in place of a state of its own.

A slots, B rows, H heads, L factors that a slot has room for, K key channels, V value channels, G gates of a head (one,
or one for each of K), M bases, S floats of a head's state.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..memory import empty_pages


@dataclass(frozen=True)
class Factors:
    """Slots of factors: for each step of a memory since its base, the key k, the update u and the decay α.

    A slot is filled from its end, so that its factors are read newest first in the order of their addresses, which
    processors fetch far better than the reverse: the last count_A[a] of L are there, and what lies before is undefined.
    A slot of count 0 is the base itself; birth is a zero written to count_A (int64). The last axes are contiguous.
    """

    keys_AHLK: Tensor
    updates_AHLV: Tensor
    decays_AHLG: Tensor
    count_A: Tensor

    @classmethod
    def empty(
        cls, slots: int, window: int, *, H: int, K: int, V: int, G: int = 1,
        dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
    ) -> "Factors":  # fmt: skip
        """Slots without factors; a key and its update lie side by side."""
        records_AHLF, decays_AHLG = (
            _allocated((slots, H, window, width), dtype, device) for width in (K + V, G)
        )  # fmt: skip
        count_A = torch.zeros(slots, dtype=torch.int64, device=device)
        return cls(records_AHLF[..., :K], records_AHLF[..., K:], decays_AHLG, count_A)

    @property
    def window(self) -> int:
        """L."""
        return self.keys_AHLK.size(2)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.keys_AHLK, self.updates_AHLV, self.decays_AHLG, self.count_A


@dataclass(frozen=True)
class Base:
    """Where memories stand: row b's factors come on top of the state states_MHS[index_B[b]], dense, as its rule has it.

    `shared`: many rows have one base. They should then follow one another, since each change of base costs a
    transposition; a row's sums do not depend on who else stands there. Without it, each row has a base of its own, read
    once. The two add in different orders: keep to one for a memory whose bits are to be told again.
    """

    states_MHS: Tensor
    index_B: Tensor
    shared: bool = True


class Tokens(NamedTuple):
    """One token a row, as every rule that can be replayed has it."""

    q_BHK: Tensor
    k_BHK: Tensor
    v_BHV: Tensor
    log_decay_BHG: Tensor
    beta_BH: Tensor


def _allocated(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    return (
        empty_pages(*shape, device=device) if dtype == torch.float32 else torch.empty(shape, dtype=dtype, device=device)
    )
