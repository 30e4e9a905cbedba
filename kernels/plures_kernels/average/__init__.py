"""Sample averages under keys, and how sure they are: a memory that learns ever more slowly and forgets nothing.

Per head, with sums M of V × K and counts n of K, both 0 at birth, the positive part of the key k⁺, and the slow weights
p of K (a prior count) and D of V × K (what doubt is worth):

    w = β k⁺ ∘ k⁺      M ← M + v wᵀ      n ← n + w      y = Σ_i q_i (M_i / (n_i + p_i) + D_i / √(n_i + p_i))

With one-hot keys, M_i / (n_i + p_i) is the mean of the values under key i, learned at the rate 1 / n (Sutton & Barto
2018, eq. 2.3), which is the delta rule's with the gain of a Kalman filter whose world stands still (Dayan & Kakade
2001); 1 / √(n_i + p_i) is its standard error, up to a factor. What is not positive in a key writes nothing at all, so
nothing leaks from key to key, however long the life. UCB1 and its kin read mean plus doubt. What a life may hold is not
bounded by a horizon: there is no decay that was learned on short lives.
"""

import torch
from torch import Tensor

from ..rule import Rule
from ..spec import Input, Kind, Part, Spec
from . import cpu, naive, parallel


def _some_doubt(weight: Tensor) -> Tensor:
    return torch.nn.init.normal_(weight, std=0.1)


def _little(weight: Tensor) -> Tensor:
    return torch.nn.init.constant_(weight, 0.4)


RULE = Rule(
    name="average",
    spec=Spec(
        inputs=(
            Input("q", "HK", Kind.DIRECTION),
            Input("k", "HK", Kind.DIRECTION),
            Input("v", "HV"),
            Input("beta", "H", Kind.RATE),
            Input("doubt", "HVK", Kind.WEIGHT, _some_doubt),
            Input("prior", "HK", Kind.WEIGHT, _little),
        ),
        state=(Part("sums", "VK"), Part("counts", "K")),
        padding={"beta": 0.0},
    ),
    advance=naive.advance,
    scans={"parallel": parallel.scan},
    steps={"cpu": cpu.step},
    step_for={("cpu", torch.float32): "cpu"},
    scan_general="parallel",
)
