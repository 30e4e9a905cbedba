"""A student's step as one kernel, for serving on a CPU: slow weights are packed once and do not change any more."""

from collections.abc import Callable

import torch
from numba import get_num_threads
from plures_kernels.simd import view
from plures_kernels.slots import require_slots
from torch import Tensor

from ..model import Inputs, Student
from .kernel import scratch_floats, step_kernel
from .packing import extents_of, pack

RULES = ("gated_delta",)

Step = Callable[[Tensor, Tensor, Tensor, Inputs], Tensor]


def fused(student: Student) -> Step:
    """`Student.step` of the student as it is now: fused where there is a kernel for it, else its own."""
    weight = student.embed.weight
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    # A subclass may step otherwise.
    plain = not student.config.think and type(student) is Student
    fits = on_cpu and student.config.rule in RULES and plain
    return FusedStep(student) if fits else student.step


class FusedStep:
    """As `Student.step`, to rounding.

    An agent's logits and state depend on its own inputs and state alone, bit for bit: not on its row, the number of
    rows, or the number of threads. InvalidArgument: bad slots; nothing has been written then.
    """

    def __init__(self, student: Student) -> None:
        self._student = student
        config = student.config
        self._extents = extents_of(config)
        self._scratch_floats = scratch_floats(config.width, self._extents)
        self._weights = pack(student)
        self._kernel = step_kernel(config.width, config.key_width, config.value_width)

    @torch.inference_mode()
    def __call__(self, pages: Tensor, read_B: Tensor, write_B: Tensor, inputs: Inputs) -> Tensor:
        encoded_BI = self._student.encode(inputs)
        B = len(encoded_BI)
        logits_BA = torch.empty(B, self._extents.actions)
        scratch_TS = torch.empty(get_num_threads(), self._scratch_floats)
        require_slots(len(pages), read_B, write_B)
        read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
        self._kernel(
            B, self._extents, view(pages), view(encoded_BI), self._weights.data_ptr(), view(read_B), view(write_B),
            view(logits_BA), view(scratch_TS),
        )  # fmt: skip
        return logits_BA
