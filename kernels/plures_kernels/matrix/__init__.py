"""The rules whose memory is one matrix a head: one set of kernels, told apart by a `Form`."""

from functools import partial

import torch

from ..lazily import lazily
from ..plain import Advance
from ..rule import Rule
from . import chunk, cpu, cpu_scan
from .form import Decay, Form

__all__ = ["Decay", "Form", "matrix_rule"]


def matrix_rule(name: str, form: Form, advance: Advance) -> Rule:
    """The rule of that form; `advance` says the same of one token in plain torch."""
    return Rule(
        name=name,
        spec=form.spec,
        advance=advance,
        scans={"chunk": partial(chunk.scan, form), "cpu": partial(cpu_scan.scan, form)},
        steps={"cpu": partial(cpu.step, form), "triton": partial(lazily(".triton", "step", __name__), form)},
        scan_for={("cpu", torch.float32): "cpu"},
        step_for={
            ("cpu", torch.float32): "cpu",
            ("cpu", torch.bfloat16): "cpu",
            ("cuda", torch.float32): "triton",
            ("cuda", torch.bfloat16): "triton",
        },
        scan_general="chunk",
    )
