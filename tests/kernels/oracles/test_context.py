"""Attention over the last tokens against torch's own, given the window as a mask.

B sequences, T time, H heads, W tokens in the window, K key channels, V value channels; S is the time attended to.
"""

import pytest
import torch
from plures_kernels import RULES
from torch.nn.functional import scaled_dot_product_attention

B, T, H, W, K, V = 2, 30, 3, 8, 16, 24


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_context_is_attention_behind_a_sliding_mask(draw_inputs, dtype):
    q, k, v, recency_HW = draw_inputs(RULES["context"], B, T, H=H, W=W, K=K, V=V, dtype=dtype)
    y_BTHV, _ = RULES["context"].scan([q, k, v, recency_HW])
    age_TS = torch.arange(T)[:, None] - torch.arange(T)
    # The newest token stands last in our window.
    bias_HTS = recency_HW[:, (W - 1 - age_TS).clamp(0, W - 1)]
    mask_HTS = bias_HTS.masked_fill((age_TS < 0) | (age_TS >= W), -torch.inf)
    y_BHTV = scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), attn_mask=mask_HTS)
    torch.testing.assert_close(y_BTHV, y_BHTV.transpose(1, 2), rtol=1e-4, atol=1e-5)
