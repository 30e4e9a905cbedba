"""The gated delta rule: decay the memory, then correct its prediction of the value under the key.

Per head, with the state S of V × K:

    S ← αS      e = v − S k      S ← S + β e kᵀ      y = S q      where α = exp(log_decay)

Gated DeltaNet, arXiv:2412.06464, eq. 10. Without decay, a step is one of gradient descent on ½‖S k − v‖² with learning
rate β; with one-hot keys, the Rescorla–Wagner rule with forgetting.
"""

import torch

from ..lazily import lazily
from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import chunk, cpu, cpu_scan, naive

RULE = Rule(
    name="gated_delta",
    spec=Spec(
        inputs=(
            Input("q", "HK", Kind.DIRECTION),
            Input("k", "HK", Kind.DIRECTION),
            Input("v", "HV"),
            Input("log_decay", "H", Kind.LOG_DECAY),
            Input("beta", "H", Kind.RATE),
        ),
        state=(Part("S", "VK"),),
        padding={"log_decay": 0.0, "beta": 0.0},
    ),
    advance=naive.advance,
    scans={"chunk": chunk.scan, "cpu": cpu_scan.scan},
    steps={"cpu": cpu.step, "triton": lazily(".triton", "step", __name__)},
    scan_for={("cpu", torch.float32): "cpu"},
    step_for={("cpu", torch.float32): "cpu", ("cuda", torch.float32): "triton"},
    scan_general="chunk",
)
