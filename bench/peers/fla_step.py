"""flash-linear-attention's fused recurrent step, with the states of a wave gathered before and scattered after it.

B agents, H heads, K key channels, V value channels, S floats of a head's state, N pages.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from plures_students.model import Student
from torch import Tensor

from .agents import Agents, BatchedAgents, Skip


def by_fla(student: Student, agents: int) -> Agents:
    """Skip: without a CUDA device, without fla, or for another rule than the gated delta rule."""
    if student.config.rule != "gated_delta":
        raise Skip("written for the gated delta rule")
    if not torch.cuda.is_available():
        raise Skip("its kernels need a CUDA device")
    return BatchedAgents(student, range(agents), with_fla(student).step)


def with_fla(student: Student) -> Student:
    """The same student, whose memories step by fla's kernel."""
    theirs = deepcopy(student)
    for memory in theirs.memories:
        rule: Any = memory.rule
        step_for = dict.fromkeys((("cpu", torch.float32), ("cuda", torch.float32)), "fla")
        memory.rule = replace(rule, steps={**rule.steps, "fla": _step}, step_for=step_for)
    return theirs


def _step(
    pool_NHS: Tensor, inputs: Sequence[Tensor], read_B: Tensor, write_B: Tensor, noise_B: Any, normalize: bool
) -> Tensor:
    try:
        run = import_module("fla.ops.gated_delta_rule").fused_recurrent_gated_delta_rule
    except ImportError as error:
        raise Skip(f"flash-linear-attention cannot be imported: {error}") from error
    q_BHK, k_BHK, v_BHV, log_decay_BH, beta_BH = (x[:, None] for x in inputs)
    states_BHVK = pool_NHS[read_B].view(*pool_NHS[read_B].shape[:2], v_BHV.size(-1), -1)
    o_B1HV, last_BHKV = run(
        q_BHK, k_BHK, v_BHV, g=log_decay_BH, beta=beta_BH, scale=1.0, initial_state=states_BHVK.mT.contiguous(),
        output_final_state=True, use_qk_l2norm_in_kernel=normalize,
    )  # fmt: skip
    pool_NHS[write_B] = last_BHKV.mT.flatten(2)
    y_BHV: Tensor = o_B1HV[:, 0]
    return y_BHV
