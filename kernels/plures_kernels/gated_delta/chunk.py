"""The gated delta rule over whole sequences in plain torch, on any device: parallel inside chunks of tokens.

B sequences, T time, H heads, K key channels, V value channels; N chunks of C tokens, I and J places in a chunk.

With γ_i the decay from the start of a chunk to its token i, S_0 the state at its start and u_i = β_i e_i,

    S_i = γ_i S_0 + Σ_{j≤i} (γ_i / γ_j) u_j k_jᵀ

so that the u_i solve a triangular system (the WY form: DeltaNet, arXiv:2406.06484, §3; with decay, Gated DeltaNet,
arXiv:2412.06464, §3.3). All chunks solve theirs at once; only the state passes from chunk to chunk in a loop.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..norm import unit
from ..spec import Inputs

CHUNK = 32


def scan(inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`."""
    q_BTHK, k_BTHK, v_BTHV, log_decay_BTH, beta_BTH = inputs
    state_BHVK = state_BHS.reshape(*state_BHS.shape[:2], v_BTHV.size(-1), k_BTHK.size(-1))
    T = q_BTHK.size(1)
    if normalize:
        q_BTHK, k_BTHK = unit(q_BTHK), unit(k_BTHK)
    q_NBHCK, k_NBHCK, v_NBHCV = (_chunks(x) for x in (q_BTHK, k_BTHK, v_BTHV))
    log_decay_NBHC, beta_NBHC1 = (_chunks(x[..., None]) for x in (log_decay_BTH, beta_BTH))
    decay_NBHIJ = _decay_between(log_decay_NBHC.squeeze(-1))
    since_start_NBHC1 = log_decay_NBHC.cumsum(-2).exp()

    overlap_NBHIJ = beta_NBHC1 * decay_NBHIJ * (k_NBHCK @ k_NBHCK.mT)
    system_NBHIJ = overlap_NBHIJ.tril(-1)
    right_NBHC = torch.cat([beta_NBHC1 * v_NBHCV, beta_NBHC1 * since_start_NBHC1 * k_NBHCK], dim=-1)
    solved_NBHC = torch.linalg.solve_triangular(system_NBHIJ, right_NBHC, upper=False, unitriangular=True)
    fresh_NBHCV, recalled_NBHCK = solved_NBHC.split([v_BTHV.size(-1), k_BTHK.size(-1)], dim=-1)

    read_NBHIJ = decay_NBHIJ * (q_NBHCK @ k_NBHCK.mT)
    start_NBHCK = since_start_NBHC1 * q_NBHCK
    to_end_NBHCK = decay_NBHIJ[..., -1, :, None] * k_NBHCK
    outputs = []
    for n in range(q_NBHCK.size(0)):
        update_BHCV = fresh_NBHCV[n] - recalled_NBHCK[n] @ state_BHVK.mT
        outputs.append(start_NBHCK[n] @ state_BHVK.mT + read_NBHIJ[n] @ update_BHCV)
        state_BHVK = since_start_NBHC1[n, :, :, -1:] * state_BHVK + update_BHCV.mT @ to_end_NBHCK[n]
    return _unchunk(outputs, like_BTHV=v_BTHV)[:, :T], state_BHVK.flatten(2)


def _chunks(x_BTHD: Tensor) -> Tensor:
    """[chunks, B, H, C, D]; the last chunk is filled up with tokens that change nothing (β = 0, log decay = 0)."""
    B, T, H, D = x_BTHD.shape
    padded_BTHD = pad(x_BTHD, (0, 0, 0, 0, 0, -T % CHUNK))
    return padded_BTHD.reshape(B, -(-T // CHUNK), CHUNK, H, D).permute(1, 0, 3, 2, 4)


def _unchunk(outputs_NBHCV: list[Tensor], like_BTHV: Tensor) -> Tensor:
    if not outputs_NBHCV:
        return torch.zeros_like(like_BTHV)
    return torch.cat(outputs_NBHCV, dim=2).transpose(1, 2)


def _decay_between(log_decay_NBHC: Tensor) -> Tensor:
    """γ_i / γ_j where j ≤ i, else 0.

    Each entry is summed by itself: the difference of two running sums loses the small decays that follow a large one.
    """
    C = log_decay_NBHC.size(-1)
    below_IJ = torch.ones(C, C, dtype=torch.bool, device=log_decay_NBHC.device).tril(-1)
    steps_NBHIJ = log_decay_NBHC[..., :, None].expand(*log_decay_NBHC.shape, C).masked_fill(~below_IJ, 0)
    sums_NBHIJ = steps_NBHIJ.cumsum(-2)
    return sums_NBHIJ.masked_fill(below_IJ.mT, -torch.inf).exp()
