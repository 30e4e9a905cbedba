"""Who is measured: our Triton steps, replay, and the steps of others where their packages are installed.

Theirs are called as those who serve models with them do: flash-linear-attention takes the states of all rows as one
tensor and returns another, so that gathering and scattering them would come on top; vLLM updates a pool in place.
B rows, H heads, K key channels, V value channels, S floats of a head's state, N pages.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from counting import FLOAT
from gpu_cases import Batch
from plures_kernels.replay import REPLAYS, Base
from plures_kernels.replay.replay import STEPS
from torch import Tensor

FACTORS = 8

# A wave's number → y_BHV
Step = Callable[[int], Tensor]
# A wave's number → its rows' states [B, H, S] after its step
States = Callable[[int], Tensor]


@dataclass(frozen=True)
class Ready:
    """A contestant with a batch of its own.

    `reads_WB`: the pages whose states the rows start from. `bytes`: what a wave must move. `on_device`: the host waits
    for nothing, so that a CUDA graph can hold it.
    """

    step: Step
    states: States
    reads_WB: Tensor
    bytes: int
    on_device: bool = True


class Skip(Exception):
    """Why a contestant does not take part."""


@dataclass(frozen=True)
class Contestant:
    """`prepare` raises Skip; `pools`: how many times the pool's memory it takes beside the pool.

    `theirs`: one that may disagree with the truth or refuse a size, and is left out then.
    """

    name: str
    prepare: Callable[[Batch], Ready]
    pools: int = 0
    theirs: bool = False


def ours(batch: Batch) -> Ready:
    rule, on_gpu = batch.case.rule, batch.pool_NHS.is_cuda

    def step(wave: int) -> Tensor:
        slots_B = batch.slots_WB[wave]
        if on_gpu:
            return rule.step(batch.pool_NHS, batch.inputs, slots_B, slots_B)
        # The interpreter's tensors are on the CPU, which this backend is not made for.
        return rule.steps["triton"](batch.pool_NHS, batch.inputs, slots_B, slots_B, None, True)

    return Ready(step, lambda wave: batch.pool_NHS[batch.slots_WB[wave]], batch.slots_WB, batch.case.bytes)


def replay(batch: Batch) -> Ready:
    """Young copies of one state, `FACTORS` steps behind them: none has a page, and none is written."""
    case, known = batch.case, batch.case.extents
    if case.state != "fp32":
        raise Skip("replay keeps factors in float32")
    memory, slots_B = REPLAYS[case.rule.name], torch.arange(case.agents, device=case.device)
    young = memory.empty(case.agents, FACTORS + 1, H=case.heads, K=known["K"], V=known["V"], device=case.device)
    base = Base(batch.pool_NHS, torch.zeros_like(slots_B))
    for _ in range(FACTORS):
        # Zeros learn nothing, which leaves the truth simple and the work the same.
        memory.step(young, [torch.zeros_like(x) for x in batch.inputs], slots_B, base, check=False)

    def step(_: int) -> Tensor:
        young.count_A.fill_(FACTORS)
        return memory.step(young, batch.inputs, slots_B, base, check=False)

    def states(_: int) -> Tensor:
        states_BHS = torch.empty_like(batch.pool_NHS[: case.agents])
        memory.densify(young, slots_B, states_BHS, slots_B, base, check=False)
        return states_BHS

    record = FLOAT * sum(x[0, :, 0].numel() for x in young.tensors[:3])
    moved = case.agents * (FACTORS + 1) * record + case.token_bytes
    return Ready(step, states, torch.zeros_like(batch.slots_WB), moved, on_device="triton" in STEPS)


def by_fla(module: str, function: str, call: Callable[..., tuple[Tensor, Tensor]]) -> Callable[[Batch], Ready]:
    """A fused step of flash-linear-attention; `call` gives it our inputs as sequences of one token."""

    def prepare(batch: Batch) -> Ready:
        run = _import(module, function)
        if batch.case.state != "fp32":
            raise Skip("flash-linear-attention keeps states in float32")
        tokens = [x[:, None] for x in batch.inputs]
        starts = [_turned(batch, batch.pool_NHS[slots_B]) for slots_B in batch.slots_WB]
        lasts: dict[int, Tensor] = {}

        def step(wave: int) -> Tensor:
            o_B1HV, lasts[wave] = call(
                run, *tokens, scale=1.0, initial_state=starts[wave], output_final_state=True,
                use_qk_l2norm_in_kernel=True,
            )  # fmt: skip
            return o_B1HV[:, 0]

        return Ready(step, lambda wave: lasts[wave].mT.flatten(2), batch.slots_WB, batch.case.bytes)

    return prepare


def by_vllm(keys_first: bool) -> Callable[[Batch], Ready]:
    """vLLM's decode step: a pool and an index a row; its releases differ in whether keys or values come first there."""

    def prepare(batch: Batch) -> Ready:
        run = _import("vllm.model_executor.layers.fla.ops", "fused_recurrent_gated_delta_rule")
        if batch.case.state != "fp32":
            raise Skip("vLLM's step is compared on states of float32")
        # Page 0 is where some releases let padding go.
        pages = torch.cat([batch.pool_NHS[:1], batch.pool_NHS])
        known, indices_WB = batch.case.extents, (batch.slots_WB + 1).int()
        pool = _turned(batch, pages) if keys_first else pages.view(*pages.shape[:2], known["V"], known["K"])
        tokens = [x[None] for x in batch.inputs]
        offsets = torch.arange(batch.case.agents + 1, dtype=torch.int32, device=batch.case.device)

        def step(wave: int) -> Tensor:
            o_1BHV: Tensor = run(
                *tokens, scale=1.0, initial_state=pool, inplace_final_state=True, cu_seqlens=offsets,
                ssm_state_indices=indices_WB[wave], use_qk_l2norm_in_kernel=True,
            )[0]  # fmt: skip
            return o_1BHV[0]

        def states(wave: int) -> Tensor:
            states_BH = pool[indices_WB[wave].long()]
            return (states_BH.mT if keys_first else states_BH).flatten(2)

        return Ready(step, states, batch.slots_WB, batch.case.bytes)

    return prepare


def _turned(batch: Batch, states_BHS: Tensor) -> Tensor:
    """[B, H, K, V], as theirs are; of their own memory."""
    known = batch.case.extents
    return states_BHS.view(*states_BHS.shape[:2], known["V"], known["K"]).mT.contiguous()


def _import(module: str, function: str) -> Callable[..., Any]:
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            # fla warns of a missing GPU, which the interpreter does not need.
            return getattr(import_module(module), function)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise Skip(f"{module.partition('.')[0]}'s {function} cannot be imported: {error}") from error


def _gated(run: Any, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, beta: Tensor, **rest: Any) -> Any:
    return run(q, k, v, g=log_decay, beta=beta, **rest)


def _delta(run: Any, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, **rest: Any) -> Any:
    return run(q, k, v, beta, **rest)


OURS, REPLAY = Contestant("plures", ours), Contestant(f"plures replay, {FACTORS} factors", replay, pools=1)
THEIRS = {
    "gated_delta": (
        Contestant("fla", by_fla("fla.ops.gated_delta_rule", "fused_recurrent_gated_delta_rule", _gated), 2, True),
        Contestant("vLLM, pool [K, V]", by_vllm(keys_first=True), 2, True),
        Contestant("vLLM, pool [V, K]", by_vllm(keys_first=False), 1, True),
    ),
    "delta": (Contestant("fla", by_fla("fla.ops.delta_rule", "fused_recurrent_delta_rule", _delta), 2, True),),
    "kda": (Contestant("fla", by_fla("fla.ops.kda", "fused_recurrent_kda", _gated), 2, True),),
}


def contestants(rule: str) -> Sequence[Contestant]:
    return OURS, *([REPLAY] if rule in REPLAYS else []), *THEIRS.get(rule, ())
