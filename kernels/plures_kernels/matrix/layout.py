"""The inputs of every rule of the family as its CPU kernels take them: five views, whatever the rule has.

B rows (or sequences), T time, H heads, J inner steps, K key channels, V value channels.
"""

from torch import Tensor

from ..simd import view
from ..spec import Inputs
from .form import Decay, Form

# What a kernel gets for the decays of a rule that has none, and never looks at.
NOTHING = 0


def dense_heads(form: Form, inputs: Inputs) -> list[Tensor]:
    """The inputs such that each head's part of each token lies together."""
    return [
        x if _is_dense(x, len(inp.axes) - 1) else x.contiguous()
        for inp, x in zip(form.spec.inputs, inputs, strict=True)
    ]


def _is_dense(x: Tensor, axes: int) -> bool:
    """Whether the last axes are laid out as those of a contiguous tensor."""
    expected = 1
    for axis in range(1, axes + 1):
        if x.size(-axis) > 1 and x.stride(-axis) != expected:
            return False
        expected *= x.size(-axis)
    return True


def views(form: Form, leading: int, inputs: Inputs) -> tuple[tuple[int, ...], ...]:
    """Address and strides along the `leading` axes and the heads of q, k, v, log_decay, beta."""
    found = [view(x)[: leading + 2] for x in inputs]
    if form.decay is Decay.NONE:
        found.insert(3, (NOTHING,) * (leading + 2))
    return tuple(found)


def factors(form: Form, K: int) -> int:
    """How many factors a head's memory is decayed by."""
    return K if form.decay is Decay.CHANNEL else 1
