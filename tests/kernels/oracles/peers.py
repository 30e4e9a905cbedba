"""Who else computes a rule of ours, and how their arguments are made of ours; docs/kernels.md has it as a table.

All of them keep a state as [B, H, K, V], compute in float32 whatever they are given, and multiply queries with K^-1/2.
Most expect keys and queries to be normalised by whoever calls. B sequences, T time, H heads, J inner steps, K key
channels, V value channels.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

# o_BTHV, and the parts of the last state, [B, H, K, V] each
Result = tuple[Tensor, Sequence[Tensor]]


@dataclass(frozen=True)
class Peer:
    """`call`: their function's arguments from our inputs (of unit length) and the parts of the state, turned.

    `lacks`: an input that they do not have and that is zero for the comparison.
    """

    rule: str
    module: str
    function: str
    call: Callable[..., Result]
    normalizes: bool = False
    lacks: str = ""

    def __str__(self) -> str:
        return f"{self.rule} by {self.module.partition('.')[0]}'s {self.function}"

    def run(self, module: ModuleType, inputs: Sequence[Tensor], parts: Sequence[Tensor]) -> Result:
        """What they make of our inputs and parts of the state, [B, H, V, K] each, in our conventions."""
        q_BTHK, k, *others = inputs
        if not self.normalizes:
            q_BTHK, k = unit(q_BTHK), unit(k)
        # transformers would call fla's kernel wherever that is installed.
        function = inspect.unwrap(getattr(module, self.function))
        o_BTHV, last = self.call(function, *(x.clone() for x in (q_BTHK, k, *others, *(part.mT for part in parts))))
        return o_BTHV * q_BTHK.size(-1) ** 0.5, [part.mT for part in last]


def unit(x: Tensor) -> Tensor:
    return x / torch.sqrt(torch.sum(x * x, dim=-1, keepdim=True) + 1e-6)


def linear_attention(theirs: Any, q: Tensor, k: Tensor, v: Tensor, _: Tensor, beta: Tensor, S: Tensor) -> Result:
    """The learning rate is a part of the value."""
    o, last = theirs(q, k, v * beta[..., None], initial_state=S, output_final_state=True)
    return o, [last]


def simple_gla(theirs: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, S: Tensor) -> Result:
    """The learning rate is a part of the value."""
    o, last = theirs(q, k, v * beta[..., None], log_decay, initial_state=S, output_final_state=True)
    return o, [last]


def delta(theirs: Any, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, S: Tensor) -> Result:
    """Heads come before time."""
    o, last = theirs(*(x.transpose(1, 2) for x in (q, k, v, beta)), initial_state=S, output_final_state=True)
    return o.transpose(1, 2), [last]


def gated(theirs: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, S: Tensor) -> Result:
    o, last = theirs(q, k, v, g=log_decay, beta=beta, initial_state=S, output_final_state=True)
    return o, [last]


def qwen3_next(theirs: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, S: Tensor) -> Result:
    """They normalise, with the epsilon where ours is."""
    o, last = theirs(
        q, k, v, g=log_decay, beta=beta, initial_state=S, output_final_state=True, use_qk_l2norm_in_kernel=True
    )
    return o, [last]


def product(theirs: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, S: Tensor) -> Result:
    """The inner steps of a token follow one another on the axis of time."""
    k, v = (x.transpose(2, 3).flatten(1, 2) for x in (k, v))
    o, last = theirs(
        q, k, v, log_decay, beta.transpose(2, 3).flatten(1, 2), scale=q.size(-1) ** -0.5, initial_state=S,
        output_final_state=True, num_householder=beta.size(-1),
    )  # fmt: skip
    return o, [last]


def momentum(
    theirs: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    momentum: Tensor,
    beta: Tensor,
    S: Tensor,
    M: Tensor,
) -> Result:
    """Their motion has the other sign, and a rate of its own at which it is written: ours is 1. Their p predicts."""
    o, last = theirs(
        q, k, v, log_alpha=log_decay, log_mu=momentum.log(), p=k, eta=beta, beta=torch.ones_like(beta), initial_S=S,
        initial_M=-M, output_final_state=True,
    )  # fmt: skip
    return o, [last[0], -last[1]]


QWEN3_NEXT = "transformers.models.qwen3_next.modeling_qwen3_next"
PEERS = (
    Peer("hebbian", "fla.ops.linear_attn.naive", "naive_recurrent_linear_attn", linear_attention, lacks="log_decay"),
    Peer("hebbian", "fla.ops.simple_gla.naive", "naive_recurrent_simple_gla", simple_gla),
    Peer("hebbian", "fla.ops.simple_gla.naive", "naive_chunk_simple_gla", simple_gla),
    Peer("delta", "fla.ops.delta_rule.naive", "delta_rule_recurrence", delta),
    Peer("gated_delta", "fla.ops.gated_delta_rule.naive", "naive_recurrent_gated_delta_rule", gated),
    Peer("gated_delta", "fla.ops.gated_delta_rule.naive", "naive_chunk_gated_delta_rule", gated),
    Peer("gated_delta", QWEN3_NEXT, "torch_recurrent_gated_delta_rule", qwen3_next, normalizes=True),
    Peer("gated_delta", QWEN3_NEXT, "torch_chunk_gated_delta_rule", qwen3_next, normalizes=True),
    Peer("kda", "fla.ops.kda.naive", "naive_recurrent_kda", gated),
    Peer("kda", "fla.ops.kda.naive", "naive_chunk_kda", gated),
    Peer("delta_product", "fla.ops.gated_delta_product.naive", "naive_recurrent_gated_delta_product", product),
    Peer("momentum", "fla.ops.momentum_delta_rule.naive", "recurrent_momentum_delta_rule_ref", momentum),
)
