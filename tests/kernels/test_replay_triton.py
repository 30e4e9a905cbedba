"""Replay's Triton kernels compiled for an H100 or H200 (sm_90); `interpreted/replay.py` has what they compute."""

import re
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("Triton exists for Linux only", allow_module_level=True)

import triton
from plures_kernels.replay import triton as replayed
from plures_kernels.replay import triton_densify as densified
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .test_triton import DIVISIBLE_BY_16, resources

WIDE_LOAD = re.compile(r"ld\.global(\.\w+(::\w+)?)*\.v4\.b32")
WIDE_STORE = re.compile(r"st\.global(\.\w+(::\w+)?)*\.v4\.b32")
SLOTS = {"p_count", "p_slot", "p_write", "p_index"}
# Of a buffer of whole slots: aligned pointers, strides that 16 divides, but for the decays.
ALIGNED = re.compile("p_|(keys|updates|states|pool)_|(q|k|v|y)_(b|h)")

sizes = pytest.mark.parametrize("size", [16, 32, 64, 128])
gates = pytest.mark.parametrize("per_channel", [False, True], ids=["head", "channel"])
bases = pytest.mark.parametrize("shared", [None, True, False], ids=["newborn", "shared", "own"])


def compile_for_sm90(kernel, constants, options):
    signature = {
        name: "constexpr" if name in constants else kind_of(name) for name in kernel.arg_names
    }  # fmt: skip
    attributes = {(i,): DIVISIBLE_BY_16 for i, name in enumerate(kernel.arg_names) if ALIGNED.match(name)}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def kind_of(name):
    if name in SLOTS:
        return "*i64"
    return "*fp32" if name.startswith("p_") else "i32"


def compiled_step(size, per_channel, shared):
    shape = replayed.tile_shape(size, size, size if per_channel else 1, shared)
    return compile_for_sm90(
        replayed.step_kernel, {**shape, "NORMALIZE": True, "EPSILON": 1e-6}, replayed.options(shape)
    )


def compiled_densifier(size, per_channel):
    shape = densified.tile_shape(size, size, size if per_channel else 1)
    return compile_for_sm90(
        densified.densify_kernel, {**shape, "BASED": True, "p_noise": None}, densified.options(shape)
    )


@sizes
@gates
@bases
def test_the_compiled_step_spills_nothing_and_loads_by_128_bits(size, per_channel, shared, tmp_path):
    compiled = compiled_step(size, per_channel, shared)
    used = resources(compiled, tmp_path)
    assert used["STACK"] == used["LOCAL"] == 0
    # Of 65,536: room for 512 threads beside a matrix product, for 680 where decays stand beside what they decay.
    assert used["REG"] <= (128 if shared else 96)
    assert WIDE_LOAD.search(compiled.asm["ptx"])


@sizes
@gates
def test_the_compiled_densifier_spills_nothing_and_moves_states_by_128_bits(size, per_channel, tmp_path):
    compiled = compiled_densifier(size, per_channel)
    used = resources(compiled, tmp_path)
    assert used["STACK"] == used["LOCAL"] == 0
    assert used["REG"] <= 64
    shape = densified.tile_shape(size, size, 1)
    wide = shape["BLOCK_V"] * shape["BLOCK_K"] // (32 * densified.options(shape)["num_warps"]) // 4
    assert len(WIDE_STORE.findall(compiled.asm["ptx"])) == wide >= 1
