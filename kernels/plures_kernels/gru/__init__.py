"""The gated recurrent unit as a memory: rich activations, no weight-like memory.

Per head, with the state h of V floats and slow weights of V × V:

    r = σ(r̂ + W_r h)      z = σ(ẑ + W_z h)      n = tanh(n̂ + r ∘ (W_n h + b))      h ← (1 − z) ∘ n + z ∘ h      y = h

Cho et al., arXiv:1406.1078, eq. 5 to 8, with the reset gate after the product, as cuDNN and `torch.nn.GRUCell` have it:
so all three products are of h alone. The inputs reset (r̂), update (ẑ) and candidate (n̂) are what GRUCell makes of a
token, its biases included but for that of W_n h. Weights start uniform in ±1/√V, as there. At ẑ = ∞ a token leaves the
state as it is.
"""

import torch
from torch import Tensor

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, cpu_scan, naive


def _uniform(weight: Tensor) -> Tensor:
    """Weights as learning starts."""
    bound = weight.size(-1) ** -0.5
    return torch.nn.init.uniform_(weight, -bound, bound)


RULE = Rule(
    name="gru",
    spec=Spec(
        inputs=(
            *(Input(name, "HV") for name in ("reset", "update", "candidate")),
            *(Input(name, "HVV", Kind.WEIGHT, _uniform) for name in ("w_reset", "w_update", "w_candidate")),
            Input("bias", "HV", Kind.WEIGHT, _uniform),
        ),
        state=(Part("h", "V"),),
        padding={"update": torch.inf},
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
