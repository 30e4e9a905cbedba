"""The contract of a fast-weight memory: what every entry of `RULES` offers.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages.
"""

from typing import Protocol

from torch import Tensor


class Rule(Protocol):
    """A module that advances a state of V × K a head by a key, a value, a log decay and a learning rate a token."""

    def scan(
        self,
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
        """Whole sequences, for training; returns y_BTHV and the last states. Differentiable in every tensor."""

    def step(
        self,
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
        """One token a row, for serving; updates the pool in place and returns y_BHV."""
