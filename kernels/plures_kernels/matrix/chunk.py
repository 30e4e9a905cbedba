"""The family over whole sequences in plain torch, on any device: parallel inside chunks of tokens.

B sequences, T time, H heads, J inner steps, K key channels, V value channels; N chunks of I tokens, which make C = I·J
writes; D is K where channels decay by themselves, else 1.

With γ_i the decay from the start of a chunk to its write i, S_0 the state at its start and u_i what is written,

    S_i = S_0 Diag(γ_i) + Σ_{j≤i} u_j (k_j ∘ γ_i / γ_j)ᵀ

so that the errors u_i = β_i (v_i − …) solve a triangular system (the WY form: DeltaNet, arXiv:2406.06484, §3; with
decay, Gated DeltaNet, arXiv:2412.06464, §3.3). All chunks solve theirs at once; only the state passes from chunk to
chunk in a loop. Hebbian rules write u_i = β_i v_i, and there is nothing to solve.

Every decay between two writes is e to the sum of its own logarithms. The usual form, (q ∘ γ_i) · (k / γ_j), is cheaper,
but 1 / γ_j overflows as soon as one channel forgets e^88 in a chunk; the difference of two running sums loses the small
decays that follow a large one. Here nothing exceeds one, and what underflows is forgotten. The price for channels with
decays of their own is C × K numbers a write, for which their chunks are shorter.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..norm import unit
from ..spec import Inputs
from .form import Decay, Form

WRITES = {Decay.NONE: 32, Decay.HEAD: 32, Decay.CHANNEL: 16}


class Chunks(NamedTuple):
    """The inputs, cut in chunks: one query a token, the others for each write."""

    q_NBHIK: Tensor
    k_NBHCK: Tensor
    v_NBHCV: Tensor
    log_decay_NBHCD: Tensor
    beta_NBHC1: Tensor


def scan(form: Form, inputs: Inputs, state_BHS: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """As `Rule.scan`."""
    q_NBHIK, k_NBHCK, v_NBHCV, log_decay_NBHCD, beta_NBHC1 = cut = _cut(form, inputs, normalize)
    state_BHVK = state_BHS.reshape(*state_BHS.shape[:2], v_NBHCV.size(-1), k_NBHCK.size(-1))
    J = k_NBHCK.size(-2) // q_NBHIK.size(-2)
    decay_NBHCCD = _decay_between(log_decay_NBHCD)
    since_start_NBHCD = log_decay_NBHCD.cumsum(-2).exp()
    written_NBHCV, erased_NBHCK = beta_NBHC1 * v_NBHCV, None
    if form.corrects:
        written_NBHCV, erased_NBHCK = _solve(cut, decay_NBHCCD, since_start_NBHCD)

    reads_NBHIC = _overlaps(decay_NBHCCD[..., J - 1 :: J, :, :], q_NBHIK, k_NBHCK)
    start_NBHIK = since_start_NBHCD[..., J - 1 :: J, :] * q_NBHIK
    to_end_NBHCK = decay_NBHCCD[..., -1, :, :] * k_NBHCK
    outputs = []
    for n in range(q_NBHIK.size(0)):
        update_BHCV = written_NBHCV[n]
        if erased_NBHCK is not None:
            update_BHCV = update_BHCV - erased_NBHCK[n] @ state_BHVK.mT
        outputs.append(start_NBHIK[n] @ state_BHVK.mT + reads_NBHIC[n] @ update_BHCV)
        state_BHVK = since_start_NBHCD[n, :, :, -1:] * state_BHVK + update_BHCV.mT @ to_end_NBHCK[n]
    return _joined(outputs, inputs[0], v_NBHCV.size(-1)), state_BHVK.flatten(2)


def _solve(cut: Chunks, decay_NBHCCD: Tensor, since_start_NBHCD: Tensor) -> tuple[Tensor, Tensor]:
    """What a chunk writes were its first state zero, and the keys under which what that state recalls is erased."""
    _, k_NBHCK, v_NBHCV, _, beta_NBHC1 = cut
    system_NBHCC = (beta_NBHC1 * _overlaps(decay_NBHCCD, k_NBHCK, k_NBHCK)).tril(-1)
    right_NBHC = torch.cat([beta_NBHC1 * v_NBHCV, beta_NBHC1 * since_start_NBHCD * k_NBHCK], dim=-1)
    solved_NBHC = torch.linalg.solve_triangular(system_NBHCC, right_NBHC, upper=False, unitriangular=True)
    written_NBHCV, erased_NBHCK = solved_NBHC.split([v_NBHCV.size(-1), k_NBHCK.size(-1)], dim=-1)
    return written_NBHCV, erased_NBHCK


def _overlaps(decay_NBHICD: Tensor, left_NBHIK: Tensor, right_NBHCK: Tensor) -> Tensor:
    """Σ_k left_ik right_jk decay_ijk."""
    if decay_NBHICD.size(-1) == 1:
        return decay_NBHICD.squeeze(-1) * (left_NBHIK @ right_NBHCK.mT)
    return ((decay_NBHICD * right_NBHCK[..., None, :, :]) @ left_NBHIK[..., None]).squeeze(-1)


def _decay_between(log_decay_NBHCD: Tensor) -> Tensor:
    """γ_i / γ_j where j ≤ i, else 0, as [N, B, H, i, j, D]."""
    C = log_decay_NBHCD.size(-2)
    ones_CC = torch.ones(C, C, dtype=torch.bool, device=log_decay_NBHCD.device)
    steps_NBHCCD = log_decay_NBHCD[..., None, :] * ones_CC[..., None]
    sums_NBHCCD = steps_NBHCCD.masked_fill(ones_CC.triu()[..., None], 0).cumsum(-3)
    return sums_NBHCCD.masked_fill(ones_CC.triu(1)[..., None], -torch.inf).exp()


def _cut(form: Form, inputs: Inputs, normalize: bool) -> Chunks:
    named = dict(zip((inp.name for inp in form.spec.inputs), inputs, strict=True))
    q_BTHK, k_BTHJK, v_BTHJV, beta_BTHJ = (named[name] for name in ("q", "k", "v", "beta"))
    if not form.inner:
        k_BTHJK, v_BTHJV, beta_BTHJ = k_BTHJK.unsqueeze(3), v_BTHJV.unsqueeze(3), beta_BTHJ.unsqueeze(3)
    if normalize:
        q_BTHK, k_BTHJK = unit(q_BTHK), unit(k_BTHJK)
    log_decay_BTHJD = _once_a_token(named.get("log_decay", torch.zeros_like(q_BTHK[..., 0])), beta_BTHJ)
    tokens = max(1, WRITES[form.decay] // k_BTHJK.size(3))
    parts = q_BTHK.unsqueeze(3), k_BTHJK, v_BTHJV, log_decay_BTHJD, beta_BTHJ.unsqueeze(4)
    return Chunks(*(_chunks(x, tokens) for x in parts))


def _once_a_token(log_decay: Tensor, beta_BTHJ: Tensor) -> Tensor:
    """Its decays, [B, T, H] or [B, T, H, K], at the first of a token's writes, and none at the others."""
    log_decay_BTHD = log_decay.unsqueeze(-1) if log_decay.dim() == 3 else log_decay
    return pad(log_decay_BTHD.unsqueeze(3), (0, 0, 0, beta_BTHJ.size(3) - 1))


def _chunks(x_BTHJD: Tensor, tokens: int) -> Tensor:
    """[chunks, B, H, tokens · J, D]; the last is filled up with tokens that change nothing (β = 0, log decay = 0)."""
    B, T, H, J, D = x_BTHJD.shape
    padded_BTHJD = pad(x_BTHJD, (0, 0, 0, 0, 0, 0, 0, -T % tokens))
    return padded_BTHJD.reshape(B, -(-T // tokens), tokens, H, J, D).permute(1, 0, 3, 2, 4, 5).flatten(3, 4)


def _joined(outputs_NBHIV: list[Tensor], q_BTHK: Tensor, V: int) -> Tensor:
    """y_BTHV, without what was filled up."""
    B, T, H, _ = q_BTHK.shape
    empty_BHIV = q_BTHK.new_zeros(B, H, 0, V)
    return torch.cat([empty_BHIV, *outputs_NBHIV], dim=2).transpose(1, 2)[:, :T]
