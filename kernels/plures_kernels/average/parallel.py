"""Sample averages for whole sequences: sums over time, all tokens at once, in plain torch on any device.

B sequences, T time, H heads, K key channels, V value channels.
"""

import torch
from torch import Tensor

from ..norm import unit
from ..spec import Inputs
from .naive import read, written


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`."""
    q_BTHK, k_BTHK, v_BTHV, beta_BTH, doubt_HVK, prior_HK = inputs
    if normalize:
        q_BTHK, k_BTHK = unit(q_BTHK), unit(k_BTHK)
    K, V = k_BTHK.size(-1), v_BTHV.size(-1)
    old_BHVK, old_BHK = state_BHS[..., : V * K].reshape(*state_BHS.shape[:2], V, K), state_BHS[..., V * K :]
    w_BTHK = written(k_BTHK, beta_BTH)
    sums_BTHVK = old_BHVK[:, None] + (v_BTHV[..., None] * w_BTHK[..., None, :]).cumsum(1)
    counts_BTHK = old_BHK[:, None] + w_BTHK.cumsum(1)
    y_BTHV = read(sums_BTHVK, counts_BTHK, q_BTHK, doubt_HVK, prior_HK)
    if w_BTHK.size(1) == 0:
        return y_BTHV, state_BHS
    return y_BTHV, torch.cat([sums_BTHVK[:, -1].flatten(2), counts_BTHK[:, -1]], dim=-1)
