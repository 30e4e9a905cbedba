"""The step of the real-gated linear recurrent unit on the GPU: one pass over each state, in place.

B rows, H heads, V channels, S floats of a head's state (V as well), N pages. A cell is one head of one row; a program
works on C cells × V.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..spec import Inputs
from ..tiles import entries_together, load_state, one_minus_exp, store_state
from .naive import most

# Floats of states that a program holds in registers, 8 a thread.
TILE = 1024
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    *tokens, decay_HV = inputs
    B, H, V = tokens[0].shape
    y_BHV = tokens[0].new_empty(B, H, V)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V)
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[(triton.cdiv(B * H, shape["BLOCK_C"]),)](
            pool_NHS, *tokens, most(decay_HV).contiguous(), read_B, write_B, noise_B, y_BHV, B * H,
            *pool_NHS.stride()[:2], *(stride for x in tokens for stride in x.stride()[:2]),
            read_B.stride(0), write_B.stride(0), 0 if noise_B is None else noise_B.stride(0),
            **shape, TOGETHER=entries_together(pool_NHS, V), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int) -> dict[str, int]:
    """The kernel's compile-time extents: as many cells as fit a tile."""
    block_v = triton.next_power_of_2(V)
    return {"H": H, "V": V, "BLOCK_C": max(1, TILE // block_v), "BLOCK_V": block_v}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_x, p_recurrence, p_gate, p_most, p_read, p_write, p_noise, p_y, cells,
    pool_n, pool_h, x_b, x_h, recurrence_b, recurrence_h, gate_b, gate_h, read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    """`pool_n` and its like are strides: of the pool, along its axis N."""
    i_c = tl.program_id(0).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    i_v = tl.arange(0, BLOCK_V)[None, :]
    b, h = i_c // H, i_c % H
    m_c, m_v = i_c < cells, i_v < V

    write = tl.load(p_write + b * write_b, mask=m_c, other=-1).to(tl.int64)
    m_live = write >= 0
    read = tl.load(p_read + b * read_b, mask=m_live, other=0).to(tl.int64)
    m_cv = m_live[:, None] if V == BLOCK_V else m_live[:, None] & m_v
    b_x = tl.load(p_x + (b * x_b + h * x_h)[:, None] + i_v, mask=m_cv, other=0.0)
    b_r = tl.load(p_recurrence + (b * recurrence_b + h * recurrence_h)[:, None] + i_v, mask=m_cv, other=0.0)
    b_i = tl.load(p_gate + (b * gate_b + h * gate_h)[:, None] + i_v, mask=m_cv, other=0.0)
    b_log_a = b_r * tl.load(p_most + (h * V)[:, None] + i_v, mask=m_cv, other=0.0)

    old = tl.multiple_of(read * pool_n + h * pool_h, TOGETHER)
    new = tl.multiple_of(write * pool_n + h * pool_h, TOGETHER)
    b_h = load_state(p_pool + (old[:, None] + i_v), m_cv)
    b_h = tl.exp(b_log_a) * b_h + tl.sqrt(one_minus_exp(2 * b_log_a)) * (b_i * b_x)
    noise = None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_c, other=0)[:, None]
    store_state(p_pool + (new[:, None] + i_v), b_h, (h * V)[:, None] + i_v, noise, m_cv)
    tl.store(p_y + i_c[:, None] * V + i_v, b_h, mask=m_c[:, None] & m_v)
