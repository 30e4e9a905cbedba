"""Gradient descent with momentum and weight decay as a memory: linear Titans.

Per head, with the state S and its motion M, both of V × K:

    e = v − S k      M ← ηM + β e kᵀ      S ← αS + M      y = S q      where α = exp(log_decay), η = momentum

Titans, arXiv:2501.00663, eq. 13 and 14 for a linear memory: the error is that of the state before it decays (the gated
delta rule takes it after), and what is written is the whole motion, old surprises and the new. A step without decay is
one of gradient descent on ½‖S k − v‖² with learning rate β and momentum η, as of `torch.optim.SGD`; the paper's loss
has no ½, so its θ is β / 2. Without momentum and decay it is the delta rule.

There is no token that leaves the state as it is, since M moves it unless it is forgotten.
"""

import torch

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, cpu_scan, naive

RULE = Rule(
    name="momentum",
    spec=Spec(
        inputs=(
            Input("q", "HK", Kind.DIRECTION),
            Input("k", "HK", Kind.DIRECTION),
            Input("v", "HV"),
            Input("log_decay", "H", Kind.LOG_DECAY),
            Input("momentum", "H", Kind.RATE),
            Input("beta", "H", Kind.RATE),
        ),
        state=(Part("S", "VK"), Part("M", "VK")),
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
