"""Test-time training of a two-layer memory (TTT-MLP): at each token, a gradient step of all its weights at once.

Per head, with F hidden units and the memory f(k) = W₂ᵀ gelu(W₁ k + b₁) + b₂, every weight the sum of what is learned
once and of the state, both matrices of F × V:

    s = ∂ℓ/∂f(k)      t = gelu'(W₁ k + b₁) ∘ W₂ s      η = β / F
    W₂ ← W₂ − η gelu(W₁ k + b₁) sᵀ      b₂ ← b₂ − η s      W₁ ← W₁ − η t kᵀ      b₁ ← b₁ − η t
    y = q + LN(f(q))

where ℓ = ½‖LN(f(k)) − (v − k)‖² (see `ttt`). TTT-MLP, arXiv:2407.04620, §2.7, with a mini-batch of one token. GELU is
that of the paper's code, in its tanh form. The squared length of the hidden layer grows with F, hence β / F; the paper,
with F = 4 V, takes 0.1 β / V. The matrices start from normal distributions that keep variance: hidden units and f(k)
have one of about one.
"""

import torch
from torch import Tensor
from torch.nn.init import normal_

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from ..ttt import AFFINE, PADDING, TOKENS
from ..ttt.backend import Memory
from . import cpu, cpu_backward, naive


def keep_variance(w2_HFV: Tensor) -> Tensor:
    """Normal, of variance 2 / F, since about half of a hidden unit's variance passes GELU."""
    return normal_(w2_HFV, std=(2 / w2_HFV.size(1)) ** 0.5)


MEMORY = Memory(cpu.step_kernel, cpu.forward_kernel, cpu_backward.backward_kernel, cpu.trace_floats)
RULE = Rule(
    name="ttt_mlp",
    spec=Spec(
        inputs=(
            *TOKENS,
            Input("w1", "HFV", Kind.WEIGHT, normal_),
            Input("b1", "HF", Kind.WEIGHT),
            Input("w2", "HFV", Kind.WEIGHT, keep_variance),
            Input("b2", "HV", Kind.WEIGHT),
            *AFFINE,
        ),
        state=(Part("W1", "FV"), Part("b1", "F"), Part("W2", "FV"), Part("b2", "V")),
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
