"""The delta rule: correct the memory's prediction of the value under the key.

Per head, with the state S of V × K:

    e = v − S k      S ← S + β e kᵀ      y = S q

Widrow and Hoff's rule as a memory: Schlag et al., arXiv:2102.11174, §4.2; DeltaNet, arXiv:2406.06484, §2.2. A step is
one of gradient descent on ½‖S k − v‖² with learning rate β; at β = 1 and ‖k‖ = 1 the memory then recalls v under k.
Nothing is forgotten but what is written over.
"""

from ..matrix import Decay, Form, matrix_rule
from . import naive

RULE = matrix_rule("delta", Form(Decay.NONE), naive.advance)
