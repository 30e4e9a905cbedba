"""Attention over the last tokens for whole sequences: all tokens at once, in plain torch on any device.

B sequences, T time, H heads, W tokens in the window, K key channels, V value channels; U = W + T tokens, those of the
state before those of the sequence.
"""

import torch
from torch import Tensor

from ..spec import Inputs


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`."""
    q_BTHK, k_BTHK, v_BTHV, recency_HW = inputs
    (B, T, H, K), V, W = q_BTHK.shape, v_BTHV.size(-1), recency_HW.size(-1)
    old_keys, old_values, old_there = torch.split(state_BHS, [W * K, W * V, W], dim=-1)
    k_BHUK = torch.cat([old_keys.reshape(B, H, W, K), k_BTHK.transpose(1, 2)], dim=2)
    v_BHUV = torch.cat([old_values.reshape(B, H, W, V), v_BTHV.transpose(1, 2)], dim=2)
    there_BHU = torch.cat([old_there, old_there.new_ones(B, H, T)], dim=2)
    # Token t stands at W + t; the oldest that it sees at t + 1.
    place_TU = torch.arange(W + T, device=q_BTHK.device) - torch.arange(1, T + 1, device=q_BTHK.device)[:, None]
    seen_TU = (place_TU >= 0) & (place_TU < W)
    bias_HTU = recency_HW[:, place_TU.clamp(0, W - 1)].masked_fill(~seen_TU, -torch.inf)
    score_BHTU = q_BTHK.transpose(1, 2) @ k_BHUK.mT * K**-0.5 + bias_HTU
    weight_BHTU = score_BHTU.masked_fill(there_BHU[:, :, None] == 0, -torch.inf).softmax(-1)
    last = (x[:, :, T:].flatten(2) for x in (k_BHUK, v_BHUV, there_BHU))
    return (weight_BHTU @ v_BHUV).transpose(1, 2), torch.cat(list(last), dim=-1)
