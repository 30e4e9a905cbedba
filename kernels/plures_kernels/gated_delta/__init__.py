"""The gated delta rule: decay the memory, then correct its prediction of the value under the key.

Per head, with the state S of V × K:

    S ← αS      e = v − S k      S ← S + β e kᵀ      y = S q      where α = exp(log_decay)

Gated DeltaNet, arXiv:2412.06464, eq. 10. Without decay, a step is one of gradient descent on ½‖S k − v‖² with learning
rate β; with one-hot keys, the Rescorla–Wagner rule with forgetting.
"""

from ..matrix import Decay, Form, matrix_rule
from . import naive

RULE = matrix_rule("gated_delta", Form(Decay.HEAD), naive.advance)
