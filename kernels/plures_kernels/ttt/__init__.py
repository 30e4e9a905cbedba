"""What the rules of test-time training share (arXiv:2407.04620): inner loss, read, and the inputs of both.

A memory f, of whatever form, is trained at every token by one step of gradient descent on

    ℓ(f) = ½ ‖LN(f(k)) − (v − k)‖²        LN(z) = γ ∘ (z − mean z) / sqrt(var z + 1e-6) + δ

so that a query reads y = q + LN(f(q)) (paper §2.7: a residual around the memory, with LN before it is added). Keys,
values and queries have the same V channels. At z = f(k), with x the standardised z and r one over the root, the
gradient is

    ∂ℓ/∂z = r (g − mean g − x mean(g ∘ x))        g = γ ∘ (γ ∘ x + δ − (v − k))

The mini-batch is one token: every gradient is taken at the weights as they are, since serving goes token by token. (The
paper trains with 16 tokens that share one starting point, its §2.4, for speed.)

A newborn's memory is learned: f starts from slow weights, and the state is what has been added to them since.
"""

from torch.nn.init import ones_

from ..spec import Input, Kind

TOKENS = (
    Input("q", "HV", Kind.DIRECTION),
    Input("k", "HV", Kind.DIRECTION),
    Input("v", "HV"),
    Input("beta", "H", Kind.RATE),
)
AFFINE = (Input("gain", "HV", Kind.WEIGHT, ones_), Input("bias", "HV", Kind.WEIGHT))
PADDING = {"beta": 0.0}

__all__ = ["AFFINE", "PADDING", "TOKENS"]
