"""The gated delta rule in plain torch, one token at a time: the truth that the other backends are tested against.

B rows (or sequences), T time, H heads, K key channels, V value channels, N pages.
"""

import torch
from torch import Tensor

from ..norm import unit


def advance(
    state_BHVK: Tensor, q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, log_decay_BH: Tensor, beta_BH: Tensor
) -> tuple[Tensor, Tensor]:
    """One token: the output and the new state. Gated DeltaNet, arXiv:2412.06464, eq. 10, transposed."""
    decayed_BHVK = state_BHVK * log_decay_BH.exp()[..., None, None]
    error_BHV = v_BHV - torch.einsum("bhvk,bhk->bhv", decayed_BHVK, k_BHK)
    new_BHVK = decayed_BHVK + torch.einsum("bh,bhv,bhk->bhvk", beta_BH, error_BHV, k_BHK)
    return torch.einsum("bhvk,bhk->bhv", new_BHVK, q_BHK), new_BHVK


def scan(
    q_BTHK: Tensor,
    k_BTHK: Tensor,
    v_BTHV: Tensor,
    log_decay_BTH: Tensor,
    beta_BTH: Tensor,
    state_BHVK: Tensor,
    normalize: bool,
) -> tuple[Tensor, Tensor]:
    """As `gated_delta.scan`, by a loop over time."""
    if normalize:
        q_BTHK, k_BTHK = unit(q_BTHK), unit(k_BTHK)
    outputs = [torch.zeros_like(v_BTHV[:, :0])]
    for t in range(q_BTHK.size(1)):
        y_BHV, state_BHVK = advance(
            state_BHVK, q_BTHK[:, t], k_BTHK[:, t], v_BTHV[:, t], log_decay_BTH[:, t], beta_BTH[:, t]
        )
        outputs.append(y_BHV[:, None])
    return torch.cat(outputs, dim=1), state_BHVK


def step(
    pool_NHVK: Tensor,
    q_BHK: Tensor,
    k_BHK: Tensor,
    v_BHV: Tensor,
    log_decay_BH: Tensor,
    beta_BH: Tensor,
    read_B: Tensor,
    write_B: Tensor,
    normalize: bool,
) -> Tensor:
    """As `gated_delta.step`, by gather, `advance` and scatter."""
    if normalize:
        q_BHK, k_BHK = unit(q_BHK), unit(k_BHK)
    live_B = write_B >= 0
    y_BHV = torch.zeros_like(v_BHV, memory_format=torch.contiguous_format)
    y_BHV[live_B], pool_NHVK[write_B[live_B]] = advance(
        pool_NHVK[read_B[live_B]],
        *(x[live_B] for x in (q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH)),
    )
    return y_BHV
