"""The Triton kernels on a machine without a GPU: run by the interpreter, and compiled for an H100 or H200 (sm_90)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

if sys.platform != "linux":
    pytest.skip("Triton exists for Linux only", allow_module_level=True)

import triton
from plures_kernels import RULES
from plures_kernels.gated_delta import triton as gated_delta
from plures_kernels.momentum import triton as momentum
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HERE = Path(__file__).parent
DIVISIBLE_BY_16 = [["tt.divisibility", 16]]


# Each step's module, its constants beside the extents, and the pools it knows: the entries' type, and that of noise.
FLOATS, HALVES, NOISY_HALVES = ("fp32", None), ("bf16", None), ("bf16", "i64")
STEPS = {
    "gated_delta": (gated_delta, {"ALIGNED": True}, [FLOATS]),
    "momentum": (momentum, {"TOGETHER": 4}, [FLOATS]),
    "momentum on bfloat16": (momentum, {"TOGETHER": 8}, [HALVES, NOISY_HALVES]),
}
CASES = [(step, constants, *pool) for step, constants, pools in STEPS.values() for pool in pools]
IDS = [f"{name}-{'-'.join(map(str, pool))}" for name, (_, _, pools) in STEPS.items() for pool in pools]
steps = pytest.mark.parametrize(("step", "constants", "entry", "noise"), CASES, ids=IDS)
sizes = pytest.mark.parametrize("size", [8, 16, 32, 64, 128])


def compile_for_sm90(step, constants, entry, noise, V, K):
    """A step as specialised for a pool of whole pages: aligned pointers, strides that 16 divides."""
    kernel = step.step_kernel
    constants = {**step.tile_shape(2, V, K), "NORMALIZE": True, "EPSILON": 1e-6, **constants}
    kinds = {"p_pool": f"*{entry}", "p_read": "*i64", "p_write": "*i64", "p_noise": f"*{noise}"}
    if noise is None and "p_noise" in kernel.arg_names:
        constants["p_noise"] = None
    signature = {
        name: "constexpr" if name in constants else kinds.get(name, "*fp32" if name.startswith("p_") else "i32")
        for name in kernel.arg_names
    }
    aligned = re.compile("p_|pool_(n|h)")
    attributes = {
        (i,): DIVISIBLE_BY_16
        for i, name in enumerate(kernel.arg_names)
        if aligned.match(name) and name not in constants
    }
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=step.OPTIONS)


def resources(compiled, tmp_path):
    """What ptxas gave the kernel: registers a thread; bytes of stack and of local memory, where spills go."""
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", cubin]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", report)}


@steps
@sizes
def test_the_compiled_step_spills_nothing_and_leaves_room_for_1024_threads(
    step, constants, entry, noise, size, tmp_path
):
    used = resources(compile_for_sm90(step, constants, entry, noise, size, size), tmp_path)
    assert used["STACK"] == used["LOCAL"] == 0
    # 65,536 registers a multiprocessor.
    assert used["REG"] <= 64


@steps
@sizes
def test_the_compiled_step_moves_states_by_128_bits(step, constants, entry, noise, size):
    ptx = compile_for_sm90(step, constants, entry, noise, size, size).asm["ptx"]
    threads = 32 * step.OPTIONS["num_warps"]
    wide = step.TILE // threads // {"fp32": 4, "bf16": 8}[entry]
    assert len(re.findall(r"ld\.global(\.\w+(::\w+)?)*\.v4\.b32", ptx)) >= wide
    assert len(re.findall(r"st\.global(\.\w+(::\w+)?)*\.v4\.b32", ptx)) == wide


def test_the_interpreted_kernels_keep_their_promises():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    files = sorted((HERE / "interpreted").glob("*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if "triton" in rule.steps])
def test_the_step_on_a_gpu_agrees_with_the_truth(draw_step, name):
    rule = RULES[name]
    step = draw_step(rule, B=1000)
    truth = step.copy(torch.float64)
    pool, inputs, *slots = step.arguments
    there = pool.cuda()
    y = rule.step(there, [x.cuda() for x in inputs], *(x.cuda() for x in slots), backend="triton")
    torch.testing.assert_close(y.cpu().double(), rule.step(*truth.arguments, backend="naive"), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there.cpu().double(), truth.pool_NHS, rtol=1e-4, atol=1e-4, equal_nan=True)
