"""What distinguishes the rules whose memory is one matrix a head.

Per head, with the state S of V × K, each token decays it once and then writes to it once or several times:

    S ← S Diag(α)      S ← S + β (v − S k) kᵀ, or Hebbian: S ← S + β v kᵀ      y = S q      where α = exp(log_decay)

H heads, K key channels, V value channels, J inner steps.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from ..spec import Input, Kind, Part, Spec


class Decay(Enum):
    """How many factors a head's memory is multiplied with before a token is written."""

    NONE = "none"
    HEAD = "one"
    CHANNEL = "one for each key channel"


@dataclass(frozen=True)
class Form:
    """One rule of the family. `corrects`: writes the error of the recall, not the value. `inner`: J writes a token."""

    decay: Decay
    corrects: bool = True
    inner: bool = False

    @cached_property
    def spec(self) -> Spec:
        many = "HJ" if self.inner else "H"
        decays = {Decay.NONE: [], Decay.HEAD: ["H"], Decay.CHANNEL: ["HK"]}[self.decay]
        return Spec(
            inputs=(
                Input("q", "HK", Kind.DIRECTION),
                Input("k", many + "K", Kind.DIRECTION),
                Input("v", many + "V"),
                *(Input("log_decay", axes, Kind.LOG_DECAY) for axes in decays),
                Input("beta", many, Kind.RATE),
            ),
            state=(Part("S", "VK"),),
            padding={**dict.fromkeys(["log_decay"] * len(decays), 0.0), "beta": 0.0},
        )
