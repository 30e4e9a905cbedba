"""The gated delta product: several steps of the delta rule a token, which may turn the memory, not only mirror it.

Per head, with the state S of V × K; the decay comes once a token, and it is read after the last of J inner steps:

    S ← αS      for j = 1 … J: e = v_j − S k_j, S ← S + β_j e k_jᵀ      y = S q      where α = exp(log_decay)

Gated DeltaProduct, arXiv:2502.10297, §3. Each inner step is one of gradient descent on ½‖S k_j − v_j‖² with learning
rate β_j. With J = 1 it is the gated delta rule.
"""

from ..matrix import Decay, Form, matrix_rule
from . import naive

RULE = matrix_rule("delta_product", Form(Decay.HEAD, inner=True), naive.advance)
