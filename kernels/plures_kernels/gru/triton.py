"""The step of the gated recurrent unit on the GPU, in place, in one launch.

B rows, H heads, V channels (U: those before), G the three gates, S floats of a head's state (V as well), N pages. A
program works on one head of C rows; it goes through its matrices by blocks of V × U.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..spec import Inputs
from ..tiles import entries_together, load_state, store_state, tanh

# Products that a program holds in registers at once, 8 a thread.
TILE = 1024
MOST_ROWS = 8
OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`, in one launch that reads nothing back."""
    *tokens, bias_HV = *inputs[:3], inputs[6]
    B, H, V = tokens[0].shape
    y_BHV = tokens[0].new_empty(B, H, V)
    if y_BHV.numel() == 0:
        return y_BHV
    shape = tile_shape(H, V)
    weights_HGVU = torch.stack(tuple(inputs[3:6]), dim=1)
    with torch.cuda.device_of(pool_NHS):  # type: ignore[no-untyped-call]
        step_kernel[(triton.cdiv(B, shape["BLOCK_C"]), H)](
            pool_NHS, *tokens, weights_HGVU, bias_HV.contiguous(), read_B, write_B, noise_B, y_BHV, B,
            *pool_NHS.stride()[:2], *(stride for x in tokens for stride in x.stride()[:2]),
            read_B.stride(0), write_B.stride(0), 0 if noise_B is None else noise_B.stride(0),
            **shape, TOGETHER=entries_together(pool_NHS, V), **OPTIONS,
        )  # fmt: skip
    return y_BHV


def tile_shape(H: int, V: int) -> dict[str, int]:
    """The kernel's compile-time extents: some rows, and as many rows of the matrices as fit a tile with those."""
    block_u = triton.next_power_of_2(V)
    block_c = max(1, min(MOST_ROWS, TILE // block_u))
    block_v = max(1, min(block_u, TILE // (block_u * block_c)))
    return {"H": H, "V": V, "BLOCK_C": block_c, "BLOCK_V": block_v, "BLOCK_U": block_u}


@triton.jit  # type: ignore[untyped-decorator]
def step_kernel(  # type: ignore[no-untyped-def]
    p_pool, p_reset, p_update, p_candidate, p_weights, p_bias, p_read, p_write, p_noise, p_y, rows,
    pool_n, pool_h, reset_b, reset_h, update_b, update_h, candidate_b, candidate_h, read_b, write_b, noise_b,
    H: tl.constexpr, V: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_U: tl.constexpr,
    TOGETHER: tl.constexpr,
):  # fmt: skip
    """`pool_n` and its like are strides: of the pool, along its axis N."""
    b, h = tl.program_id(0).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C), tl.program_id(1)
    i_u = tl.arange(0, BLOCK_U)
    m_b, m_u = b < rows, i_u < V

    write = tl.load(p_write + b * write_b, mask=m_b, other=-1).to(tl.int64)
    m_live = write >= 0
    read = tl.load(p_read + b * read_b, mask=m_live, other=0).to(tl.int64)
    old = tl.multiple_of(read * pool_n + h * pool_h, TOGETHER)
    new = tl.multiple_of(write * pool_n + h * pool_h, TOGETHER)
    m_cu = m_live[:, None] if V == BLOCK_U else m_live[:, None] & m_u[None, :]
    b_h = load_state(p_pool + (old[:, None] + i_u[None, :]), m_cu)

    for first in range(0, V, BLOCK_V):
        i_v = first + tl.arange(0, BLOCK_V)
        m_cv = m_live[:, None] & (i_v < V)[None, :]
        p_w = p_weights + h * (3 * V * V) + i_v[:, None] * V + i_u[None, :]
        m_vu = (i_v < V)[:, None] & m_u[None, :]
        b_bias = tl.load(p_bias + h * V + i_v, mask=i_v < V, other=0.0)[None, :]
        b_r = tl.load(p_reset + (b * reset_b + h * reset_h)[:, None] + i_v[None, :], mask=m_cv, other=0.0)
        b_z = tl.load(p_update + (b * update_b + h * update_h)[:, None] + i_v[None, :], mask=m_cv, other=0.0)
        b_n = tl.load(p_candidate + (b * candidate_b + h * candidate_h)[:, None] + i_v[None, :], mask=m_cv, other=0.0)
        b_r = tl.sigmoid(b_r + product(p_w, m_vu, b_h))
        b_z = tl.sigmoid(b_z + product(p_w + V * V, m_vu, b_h))
        b_n = tanh(b_n + b_r * (product(p_w + 2 * V * V, m_vu, b_h) + b_bias))
        b_before = load_state(p_pool + (old[:, None] + i_v[None, :]), m_cv)
        b_new = tl.where(m_cv, (1 - b_z) * b_n + b_z * b_before, 0.0)
        tl.store(p_y + (b * H + h)[:, None] * V + i_v[None, :], b_new, mask=m_b[:, None] & (i_v < V)[None, :])

    # The state is written over only when the whole of it has been read.
    tl.debug_barrier()
    b_h = tl.load(p_y + (b * H + h)[:, None] * V + i_u[None, :], mask=m_cu, other=0.0)
    noise = None
    if p_noise is not None:
        noise = tl.load(p_noise + b * noise_b, mask=m_b, other=0)[:, None]
    store_state(p_pool + (new[:, None] + i_u[None, :]), b_h, h * V + i_u[None, :], noise, m_cu)


@triton.jit
def product(p_w, m_vu, b_h):  # type: ignore[no-untyped-def]
    """W h for a block of W."""
    return tl.sum(tl.load(p_w, mask=m_vu, other=0.0)[None, :, :] * b_h[:, None, :], 2)
