"""The inner loss of test-time training in plain torch, its gradient in closed form. V channels, any leading axes."""

import torch
from torch import Tensor

EPSILON = 1e-6


def standardised(z_V: Tensor) -> tuple[Tensor, Tensor]:
    """z with mean zero and variance one, and the factor: 1 / sqrt(var z + 1e-6)."""
    centred_V = z_V - z_V.mean(-1, keepdim=True)
    scale_1 = torch.rsqrt(centred_V.square().mean(-1, keepdim=True) + EPSILON)
    return scale_1 * centred_V, scale_1


def read(z_V: Tensor, q_V: Tensor, gain_V: Tensor, bias_V: Tensor) -> Tensor:
    """q + LN(z): what a query gets."""
    return q_V + gain_V * standardised(z_V)[0] + bias_V


def slope(z_V: Tensor, target_V: Tensor, gain_V: Tensor, bias_V: Tensor) -> Tensor:
    """The gradient at z of ½‖LN(z) − target‖²; fla's `ops/ttt/naive.py` has the same."""
    x_V, scale_1 = standardised(z_V)
    g_V = gain_V * (gain_V * x_V + bias_V - target_V)
    return scale_1 * (g_V - g_V.mean(-1, keepdim=True) - x_V * (g_V * x_V).mean(-1, keepdim=True))
