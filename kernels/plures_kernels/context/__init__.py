"""Attention over the last W tokens: a context, and no weights that change.

Per head, with the last W keys and values, the newest last, as the state:

    y = Σ_j softmax_j(q · k_j / √K + recency_{W-j}) v_j      over the tokens j that there were

Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1) in a sliding window (Longformer,
arXiv:2004.05150, §3.1), with a learned bias a distance (T5, arXiv:1910.10683, §2.1). The token itself is among them.
What is older than W tokens is as if it had not been: the rule that fast weights are compared with.

There is no token that leaves the state as it is.
"""

import torch

from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, naive, parallel

RULE = Rule(
    name="context",
    spec=Spec(
        inputs=(
            Input("q", "HK"),
            Input("k", "HK"),
            Input("v", "HV"),
            Input("recency", "HW", Kind.WEIGHT),
        ),
        state=(Part("keys", "WK"), Part("values", "WV"), Part("there", "W")),
    ),
    advance=naive.advance,
    scans={"parallel": parallel.scan},
    steps={"cpu": cpu.step},
    step_for={("cpu", torch.float32): "cpu"},
    scan_general="parallel",
)
