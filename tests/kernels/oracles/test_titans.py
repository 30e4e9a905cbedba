"""The momentum rule against flash-linear-attention's Titans, where the two are comparable.

Theirs puts a LayerNorm into the inner loss and divides only a part of its gradient by the deviation, so that what it
descends is not the paper's ‖S k − v‖² (arXiv:2501.00663, eq. 12), which is ours. What can be held against it is how
surprise becomes motion and motion becomes memory (eq. 13 and 14): with keys that are orthogonal, nothing recalls
anything for them, LN(0) = 0, and both errors are the value. Their `chunk_size` says for how many tokens gradients are
taken at one memory. Their alpha forgets, where our decay keeps.
"""

import pytest
import torch
from plures_kernels import RULES

RULE = RULES["momentum"]
T = V = K = 16


@pytest.mark.parametrize("in_parallel", [True, False])
@pytest.mark.parametrize("tokens", [1, 5, T])
def test_surprise_becomes_motion_and_motion_memory_as_theirs(load, draw_inputs, in_parallel, tokens):
    q, _, v, log_decay, momentum, beta = draw_inputs(RULE, 2, tokens, V=V, K=K)
    # A sum of values would not vanish beside a deviation of nought.
    v = v - v.mean(-1, keepdim=True)
    k = torch.linalg.qr(torch.randn(2, 2, K, K)).Q[:, :, :tokens].transpose(1, 2)
    _, last = RULE.scan([q, k, v, log_decay, momentum, beta], normalize=False)
    gain, shift = torch.full((2, V), 1 / (2 * V)), torch.zeros(2, V)
    rates = (x[..., None] for x in (beta, 1 - log_decay.exp(), momentum))
    _, memory = load("fla.ops.titans.naive").chunk_titans_linear_ref(
        q, k, v + k, gain, shift, *rates, chunk_size=tokens, output_final_state=True, use_chunk=in_parallel
    )
    mine, _ = RULE.spec.split(last, {"V": V, "K": K})
    torch.testing.assert_close(mine, memory.mT, rtol=1e-4, atol=1e-4)
