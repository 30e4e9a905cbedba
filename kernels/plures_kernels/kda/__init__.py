"""Kimi delta attention: the gated delta rule where each key channel forgets at a pace of its own.

Per head, with the state S of V × K:

    S ← S Diag(α)      e = v − S k      S ← S + β e kᵀ      y = S q      where α = exp(log_decay), K factors

Kimi Linear, arXiv:2510.26692, eq. 1. With equal factors it is the gated delta rule. A step is one of gradient descent
on ½‖S k − v‖² with learning rate β, from the decayed memory.
"""

from ..matrix import Decay, Form, matrix_rule
from . import naive

RULE = matrix_rule("kda", Form(Decay.CHANNEL), naive.advance)
