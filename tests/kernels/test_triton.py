"""The Triton kernels on a machine without a GPU: run by the interpreter, and compiled for an H100 or H200 (sm_90)."""

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
import torch

if sys.platform != "linux":
    pytest.skip("Triton exists for Linux only", allow_module_level=True)

import triton
from plures_kernels import RULES
from plures_kernels.gru import triton as gru
from plures_kernels.matrix import Decay, Form
from plures_kernels.matrix import triton as matrix
from plures_kernels.momentum import triton as momentum
from plures_kernels.ssm import triton as ssm
from plures_kernels.ttt_linear import triton as ttt_linear
from plures_kernels.ttt_mlp import triton as ttt_mlp
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HERE = Path(__file__).parent
DIVISIBLE_BY_16 = [["tt.divisibility", 16]]
BITS = {"fp32": 32, "bf16": 16}
FORMS = {
    "hebbian": Form(Decay.HEAD, corrects=False),
    "delta": Form(Decay.NONE),
    "gated_delta": Form(Decay.HEAD),
    "kda": Form(Decay.CHANNEL),
    "delta_product": Form(Decay.HEAD, inner=True),
}


def matrix_constants(rule, size):
    form = FORMS[rule]
    return {**matrix.tile_shape(matrix.tile_floats(form), 2, size, size), **matrix.flags(form, 2 if form.inner else 1)}


# The module of each rule's step, its constants for states of a size, and how many matrices a state is: none where it is
# a vector, which is little beside the token.
STEPS = {
    **{rule: (matrix, partial(matrix_constants, rule), 1) for rule in FORMS},
    "momentum": (momentum, lambda size: momentum.tile_shape(2, size, size), 2),
    "ttt_linear": (ttt_linear, partial(ttt_linear.tile_shape, 2), 1),
    "ttt_mlp": (ttt_mlp, lambda size: ttt_mlp.tile_shape(2, size, 4 * size), 2),
    "gru": (gru, partial(gru.tile_shape, 2), 0),
    "ssm": (ssm, partial(ssm.tile_shape, 2), 0),
}


@dataclass(frozen=True)
class Case:
    """A step as specialised for a pool of whole pages: aligned pointers, strides that 16 divides."""

    rule: str
    size: int
    entry: str = "fp32"
    noisy: bool = False

    def __str__(self):
        return f"{self.rule}-{self.size}-{self.entry}{'-noisy' * self.noisy}"


CASES = [
    *(Case(rule, size) for rule in STEPS for size in (16, 64, 128)),
    *(Case(rule, size) for rule in ("gated_delta", "momentum", "ttt_linear") for size in (8, 32)),
    *(Case(rule, size, "bf16", noisy) for rule in STEPS for size in (16, 128) for noisy in (False, True)),
]
cases = pytest.mark.parametrize("case", CASES, ids=str)
cases_of_matrices = pytest.mark.parametrize("case", [case for case in CASES if STEPS[case.rule][2]], ids=str)


def test_every_rule_with_a_triton_step_is_compiled():
    assert STEPS.keys() == {name for name, rule in RULES.items() if "triton" in rule.steps}


@cache
def constants_of(case):
    step, constants, _ = STEPS[case.rule]
    together = 128 // BITS[case.entry]
    known = {**constants(case.size), "NORMALIZE": True, "EPSILON": 1e-6, "LN_EPSILON": 1e-6, "TOGETHER": together}
    return {name: known[name] for name in step.step_kernel.arg_names if name in known}


@cache
def compile_for_sm90(case):
    step, *_ = STEPS[case.rule]
    constants = constants_of(case) | ({} if case.noisy else {"p_noise": None})
    kernel = step.step_kernel
    kinds = {"p_pool": f"*{case.entry}", "p_read": "*i64", "p_write": "*i64", "p_noise": "*i64"}
    signature = {
        name: "constexpr" if name in constants else kinds.get(name, "*fp32" if name.startswith("p_") else "i32")
        for name in kernel.arg_names
    }
    aligned = re.compile("p_|pool_(n|h)")
    places = [(i,) for i, name in enumerate(kernel.arg_names) if aligned.match(name) and name not in constants]
    source = ASTSource(kernel, signature, constexprs=constants, attrs=dict.fromkeys(places, DIVISIBLE_BY_16))
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=step.OPTIONS)


def resources(compiled, tmp_path):
    """What ptxas gave the kernel: registers a thread; bytes of stack and of local memory, where spills go."""
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", cubin]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", report)}


@cases
def test_a_compiled_step_spills_nothing_and_leaves_room_for_1024_threads(case, tmp_path):
    used = resources(compile_for_sm90(case), tmp_path)
    assert used["STACK"] == used["LOCAL"] == 0
    # 65,536 registers a multiprocessor. Two layers take more: 800 threads.
    assert used["REG"] <= (80 if case.rule == "ttt_mlp" else 64)


@cases_of_matrices
def test_a_compiled_step_moves_states_by_128_bits_or_all_that_a_thread_has(case):
    step, _, matrices = STEPS[case.rule]
    ptx, constants = compile_for_sm90(case).asm["ptx"], constants_of(case)
    entries = math.prod(value for name, value in constants.items() if name.startswith("BLOCK_"))
    bits = entries * BITS[case.entry] // (32 * step.OPTIONS["num_warps"])
    words, wide = min(4, bits // 32), matrices * max(1, bits // 128)
    assert words == 4 or case.rule == "ttt_mlp"
    assert len(re.findall(rf"ld\.global(\.\w+(::\w+)?)*\.v{words}\.b32", ptx)) >= wide
    assert len(re.findall(rf"st\.global(\.\w+(::\w+)?)*\.v{words}\.b32", ptx)) == wide


def test_the_interpreted_kernels_keep_their_promises():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    files = sorted((HERE / "interpreted").glob("*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if "triton" in rule.steps])
def test_a_step_on_a_gpu_agrees_with_the_truth(draw_step, name):
    rule = RULES[name]
    step = draw_step(rule, B=1000)
    truth = step.copy(torch.float64)
    pool, inputs, *slots = step.arguments
    there = pool.cuda()
    y = rule.step(there, [x.cuda() for x in inputs], *(x.cuda() for x in slots), backend="triton")
    torch.testing.assert_close(y.cpu().double(), rule.step(*truth.arguments, backend="naive"), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there.cpu().double(), truth.pool_NHS, rtol=1e-4, atol=1e-4, equal_nan=True)
