"""Attention over the last tokens, one token in plain torch.

B rows, H heads, W tokens in the window, K key channels, V value channels.
"""

import torch
from torch import Tensor

State = tuple[Tensor, ...]


def advance(state: State, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, recency_HW: Tensor) -> tuple[Tensor, State]:
    """One token: the output and the new state. `there` is 1 where a token stands, 0 where none has come yet."""
    keys_BHWK, values_BHWV, there_BHW = (
        torch.cat([old[:, :, 1:], new[:, :, None]], dim=2)
        for old, new in zip(state, (k_BHK, v_BHV, torch.ones_like(q_BHK[..., 0])), strict=True)
    )
    score_BHW = torch.einsum("bhwk,bhk->bhw", keys_BHWK, q_BHK) * q_BHK.size(-1) ** -0.5 + recency_HW
    weight_BHW = score_BHW.masked_fill(there_BHW == 0, -torch.inf).softmax(-1)
    return torch.einsum("bhw,bhwv->bhv", weight_BHW, values_BHWV), (keys_BHWK, values_BHWV, there_BHW)
