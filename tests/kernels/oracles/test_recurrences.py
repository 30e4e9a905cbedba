"""Rules against what others wrote: outputs, last states and gradients, with every conversion written down in `peers`.

They compute in float32, so that is what they can be held against: two orders of summation of some 64 products.
"""

import pytest
import torch
from plures_kernels import RULES

from .peers import PEERS

TOKENS = 64
CLOSE = {"rtol": 1e-4, "atol": 5e-5}
EXTENTS = {"H": 2, "K": 16, "V": 24}


@pytest.fixture(params=PEERS, ids=str)
def peer(request):
    return request.param


@pytest.fixture
def life(peer, draw_inputs, draw_state):
    """Inputs and a state that both can take, to differentiate by."""
    rule = RULES[peer.rule]
    inputs = draw_inputs(rule, 2, TOKENS, **EXTENTS)
    names = [inp.name for inp in rule.spec.inputs]
    if "log_decay" in names:
        inputs[names.index("log_decay")].mul_(0 if peer.lacks == "log_decay" else 0.1)
    return [x.detach().requires_grad_() for x in (*inputs, draw_state(rule, 2, **EXTENTS))]


def ours(peer, life, backend, dtype=torch.float32):
    *inputs, state = (x.to(dtype) for x in life)
    return RULES[peer.rule].scan(inputs, state, backend=backend)


def theirs(peer, life, load):
    spec, (*inputs, state) = RULES[peer.rule].spec, life
    y, parts = peer.run(load(peer.module), inputs, spec.split(state, spec.extents(inputs)))
    return y, spec.join(parts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_backend_gives_what_others_get(peer, life, load, dtype):
    expected = theirs(peer, life, load)
    for backend in RULES[peer.rule].scans:
        if (backend, dtype) != ("cpu", torch.float64):
            for mine, other in zip(ours(peer, life, backend, dtype), expected, strict=True):
                torch.testing.assert_close(mine.float(), other, **CLOSE)


def test_every_gradient_is_what_others_get(peer, life, load):
    expected, names = theirs(peer, life, load), [inp.name for inp in RULES[peer.rule].spec.inputs]
    weights = [torch.randn_like(x) for x in expected]
    shared = [x for name, x in zip([*names, "state"], life, strict=True) if name != peer.lacks]
    expected = torch.autograd.grad(expected, shared, weights)
    for mine, other in zip(torch.autograd.grad(ours(peer, life, None), shared, weights), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
