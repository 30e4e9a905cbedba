"""Replay: memories of the delta family as a base and the factors of the steps since, in place of a state.

With S_0 the base, α_i the decays (numbers, or for each channel of the keys: Diag α_i) and u_i = β_i e_i the updates,

    S_t = S_0 Π_{i≤t} α_i + Σ_{i≤t} u_i (k_i ∘ Π_{i<j≤t} α_j)ᵀ

so S_t q and S_t k are made of S_0 q and S_0 k and of as many short dot products as there are factors. Copies share
their base: a newborn has no factors, a young one few. A memory with a base of its own is read every step, and written
once a window. ReplaySSM (dao-lab.ai/blog/2026/replayssm) keeps such a buffer for each request of a language model.
"""

from .. import delta, gated_delta, kda
from .factors import Base, Factors
from .replay import Replay

REPLAYS: dict[str, Replay] = {rule.name: Replay(rule) for rule in (delta.RULE, gated_delta.RULE, kda.RULE)}

__all__ = ["REPLAYS", "Base", "Factors", "Replay"]
