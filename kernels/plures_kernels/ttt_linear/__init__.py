"""Test-time training of a linear memory (TTT-Linear): at each token, a gradient step on a loss through LayerNorm.

Per head, with the memory f(k) = W k + b, W of V × V, both the sum of what is learned once (W₀, b₀) and of the state:

    s = ∂ℓ/∂f(k)      W ← W − β s kᵀ      b ← b − β s      y = q + LN(f(q))

where ℓ = ½‖LN(f(k)) − (v − k)‖² (see `ttt`). TTT-Linear, arXiv:2407.04620, §2.7, with a mini-batch of one token. The
paper divides β by the number of channels since its keys are about √V long; keys of length one need no such divisor. For
the same reason W₀ starts from a unit normal distribution, not from one of 0.02: f(k) then has variance one, and the
first step, which LN's derivative 1/std f(k) magnifies, does not drown what is learned after it.
"""

import torch
from torch.nn.init import normal_

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from ..ttt import AFFINE, PADDING, TOKENS
from ..ttt.backend import Memory
from . import cpu, cpu_backward, naive

MEMORY = Memory(cpu.step_kernel, cpu.forward_kernel, cpu_backward.backward_kernel, cpu.trace_floats)
RULE = Rule(
    name="ttt_linear",
    spec=Spec(
        inputs=(*TOKENS, Input("w0", "HVV", Kind.WEIGHT, normal_), Input("b0", "HV", Kind.WEIGHT), *AFFINE),
        state=(Part("W", "VV"), Part("b", "V")),
        padding=PADDING,
    ),
    advance=naive.advance,
    scans={"cpu": MEMORY.scan},
    steps={"cpu": MEMORY.step, "triton": lazily(".triton", "step", __name__)},
    scan_for={("cpu", torch.float32): "cpu"},
    step_for={
        ("cpu", torch.float32): "cpu",
        ("cpu", torch.bfloat16): "cpu",
        ("cuda", torch.float32): "triton",
        ("cuda", torch.bfloat16): "triton",
    },
)
