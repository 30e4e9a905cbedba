"""Temporal differences: a memory that learns what it expects of what comes next, read from itself before it is written.

Per head, with values S of V × K (a value channel is what may be done, a key what may be seen) and z of K, the key of
what is credited, both 0 at birth; greed g and choice c, slow weights:

    w = k⁺∘k⁺ / Σ k⁺∘k⁺      u = S w      m = Σ softmax(eᵍ u) ∘ u
    e = v + γ m − S z        S ← S + (β ∘ e) zᵀ        z ← h z + (1 − h) w
    y = log((1 − ε) softmax(eᶜ S w) + ε / V)

A token is the key k of what is seen now, what the step brought, v, and rates: of each channel's learning β (what was
done), the discount γ (0 where an episode has ended), how long credit is held h, and the lapse ε. With one-hot keys, one
channel written, h = 0 and g → ∞ it is Q-learning on a table (Watkins & Dayan 1992; Sutton & Barto 2018, eq. 6.8); with
g → −∞ the mean is expected instead of the best, as in expected Sarsa of a policy that chooses evenly (eq. 6.9). With
keys that overlap it is the semi-gradient step of a linear function of w (Sutton & Barto 2018, §9.3), whose target is
taken as given; with γ = 0, the delta rule of keys one token old. y is how the values would be chosen from: in the limit
of c greedily, but for a lapse; without a lapse, the values themselves, in nats, up to a constant.

What is not positive in a key writes nothing and is not read, so that nothing leaks from key to key, however long the
life. Nothing decays.
"""

import torch
from torch import Tensor

from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, cpu_scan, naive


def _some_sharpness(weight: Tensor) -> Tensor:
    return torch.nn.init.constant_(weight, 1.0)


RULE = Rule(
    name="td",
    spec=Spec(
        inputs=(
            Input("k", "HK"),
            Input("v", "HV"),
            Input("beta", "HV", Kind.RATE),
            Input("discount", "H", Kind.RATE),
            Input("hold", "H", Kind.RATE),
            Input("lapse", "H", Kind.RATE),
            Input("greed", "H", Kind.WEIGHT, _some_sharpness),
            Input("choice", "H", Kind.WEIGHT, _some_sharpness),
        ),
        state=(Part("values", "VK"), Part("credited", "K")),
        padding={"beta": 0.0, "hold": 1.0},
    ),
    advance=naive.advance,
    scans={"cpu": cpu_scan.scan},
    steps={"cpu": cpu.step},
    scan_for={("cpu", torch.float32): "cpu"},
    step_for={("cpu", torch.float32): "cpu"},
)
