"""The one normalisation that keys and queries pass through before they meet a memory."""

import torch
from torch import Tensor

# As in flash-linear-attention and Qwen3-Next: under the root, so that a zero key stays zero with a finite gradient.
EPSILON = 1e-6


def unit(x_K: Tensor) -> Tensor:
    """Scale the last axis to length one: x / sqrt(Σ x² + 1e-6), any leading axes, differentiable."""
    return x_K * torch.rsqrt(x_K.square().sum(-1, keepdim=True) + EPSILON)
