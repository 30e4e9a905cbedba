"""How a student chooses: an action from its logits, by a random number that belongs to (agent, step) alone.

Shapes: B agents, A actions.
"""

import torch
from plures_kernels import counter
from torch import Tensor

ACTION_STREAM = 0


def sample(logits_BA: Tensor, seed_B: Tensor, step_B: Tensor | int) -> Tensor:
    """Actions int32 [B] drawn from softmax(logits) by inversion; seed int64 [B], step int64 [B] or one for all.

    The draw is a function of the row's own logits, seed and step: the same in any batch.
    """
    cumulative_BA = logits_BA.softmax(-1).cumsum(-1)
    draw_B = counter.uniform(seed_B, step_B, ACTION_STREAM)
    # Rounding may leave the total below 1; the last action takes what is missing.
    return (draw_B.unsqueeze(-1) >= cumulative_BA[:, :-1]).sum(-1, dtype=torch.int32)
