"""The Hebbian rule: decay the memory, then add the value under the key, whatever it recalls.

Per head, with the state S of V × K:

    S ← αS      S ← S + β v kᵀ      y = S q      where α = exp(log_decay)

Linear attention as a fast-weight programmer: Katharopoulos et al., arXiv:2006.16236, eq. 18–20, with identity feature
map and no normaliser; Schlag et al., arXiv:2102.11174, eq. 17. With the decay, that of RetNet (arXiv:2307.08621, eq. 6)
and Mamba-2 (arXiv:2405.21060, eq. 16) where it comes from the token. Without it, a step is one of gradient descent on
−⟨S k, v⟩ with learning rate β.
"""

from ..matrix import Decay, Form, matrix_rule
from . import naive

RULE = matrix_rule("hebbian", Form(Decay.HEAD, corrects=False), naive.advance)
