"""A diagonal state-space model as a memory: the real-gated linear recurrent unit (RG-LRU). No weight-like memory.

Per head, with the state h of V floats, all element by element:

    a = σ(Λ)^(8 r)      h ← a h + √(1 − a²) (i x)      y = h

Griffin, arXiv:2402.19427, eq. 1 to 4. The recurrence gate r and the input gate i come with the token: the paper's
σ(W x + b). Λ, a slow weight, starts such that the most a channel decays at a token, σ(Λ)⁸, is uniform in [0.9, 0.999]
(§2.4). At r = 0 a token leaves the state as it is.
"""

import torch
from torch import Tensor

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, cpu_scan, naive


def _spread(decay_HV: Tensor) -> Tensor:
    """Λ as learning starts."""
    return torch.nn.init.uniform_(decay_HV, 0.9, 0.999).pow_(1 / naive.POWER).logit_()


RULE = Rule(
    name="ssm",
    spec=Spec(
        inputs=(
            Input("x", "HV"),
            Input("recurrence", "HV", Kind.RATE),
            Input("gate", "HV", Kind.RATE),
            Input("decay", "HV", Kind.WEIGHT, _spread),
        ),
        state=(Part("h", "V"),),
        padding={"recurrence": 0.0},
    ),
    advance=naive.advance,
    scans={"cpu": cpu_scan.scan},
    steps={"cpu": cpu.step, "triton": lazily(".triton", "step", __name__)},
    scan_for={("cpu", torch.float32): "cpu"},
    step_for={
        ("cpu", torch.float32): "cpu",
        ("cpu", torch.bfloat16): "cpu",
        ("cuda", torch.float32): "triton",
        ("cuda", torch.bfloat16): "triton",
    },
)
