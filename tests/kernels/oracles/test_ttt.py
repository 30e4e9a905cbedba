"""TTT-Linear against flash-linear-attention's, whose read is another than the paper's.

Theirs reads LN(o) + o where o = f(q); ours, as the paper (arXiv:2407.04620, §2.7), LN(f(q)) + q. Both read after the
token is learned. Theirs keeps f as a state [B, H, K, V] and a bias, and learns from mini-batches of tokens that share
one starting point: of one token here, as ours. B sequences, T time, H heads, V channels of keys and of values.
"""

import pytest
import torch
from plures_kernels import RULES

from .peers import unit

RULE = RULES["ttt_linear"]
EXTENTS = {"H": 2, "V": 16}
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture
def theirs(load):
    """One token by theirs; returns what was read, less the residual o that is not ours, and the memory f."""
    run = load("fla.ops.ttt.naive").chunk_ttt_linear_ref

    def step(token, memory_BHVV, bias_BHV):
        q_BHV, k_BHV, v_BHV, beta_BH, gain_HV, shift_HV = token
        read, memory, bias = run(
            *(x[:, None].clone() for x in (q_BHV, k_BHV, v_BHV)), gain_HV, shift_HV, beta_BH[:, None, :, None],
            scale=1.0, eps=1e-6, mini_batch_size=1, initial_state=memory_BHVV.mT,
            initial_state_bias=bias_BHV[:, :, None], output_final_state=True,
        )  # fmt: skip
        memory_BHVV, bias_BHV = memory.mT, bias[:, :, 0]
        o_BHV = torch.einsum("bhvk,bhk->bhv", memory_BHVV, q_BHV) + bias_BHV
        return read[:, 0] - o_BHV, memory_BHVV, bias_BHV

    return step


def test_ttt_linear_learns_and_reads_what_theirs_does(theirs, draw_inputs):
    q, k, v, beta, w0, b0, gain, shift = draw_inputs(RULE, 3, 12, **EXTENTS)
    q, k = unit(q), unit(k)
    y, last = RULE.scan([q, k, v, beta, w0, b0, gain, shift], normalize=False)
    memory, bias = (x.expand(3, *x.shape) for x in (w0, b0))
    for t in range(12):
        normed, memory, bias = theirs([*(x[:, t] for x in (q, k, v, beta)), gain, shift], memory, bias)
        torch.testing.assert_close(y[:, t] - q[:, t], normed, **CLOSE)
    deviations = RULE.spec.split(last, RULE.spec.extents([q, k, v, beta, w0, b0, gain, shift]))
    for mine, other, start in zip(deviations, (memory, bias), (w0, b0), strict=True):
        torch.testing.assert_close(start + mine, other, **CLOSE)
