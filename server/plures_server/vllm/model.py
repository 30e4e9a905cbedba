"""A student as a model of vLLM, its memories kept in vLLM's own recurrent state: one block is one agent's page.

Shapes: T tokens of all requests, R requests, G requests of one length L, D width, V tokens that there are, N blocks,
S floats of a head's state.
"""

from collections.abc import Iterable, Iterator

import torch
from plures_students.checkpoint import WEIGHTS
from plures_students.config import StudentConfig
from plures_students.model import Student
from plures_students.tokens import embed_tokens
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.forward_context import get_forward_context
from vllm.model_executor.layers.mamba.abstract import MambaBase
from vllm.model_executor.layers.mamba.mamba_utils import MambaStateCopyFuncCalculator
from vllm.model_executor.models.interfaces import HasInnerState, IsAttentionFree, SupportsMambaPrefixCaching
from vllm.v1.attention.backends.linear_attn import LinearAttentionMetadata
from vllm.v1.attention.backends.registry import MambaAttentionBackendEnum

# vLLM wants a number in the name of whatever has a cache.
PAGES = "layers.0.pages"
Shapes = tuple[tuple[int, ...], ...]
Dtypes = tuple[torch.dtype, ...]


class Pages(nn.Module, MambaBase):
    """What vLLM allocates states for: `pages` is [N, layers, heads, S], float32."""

    def __init__(self, config: StudentConfig, vllm_config: VllmConfig) -> None:
        super().__init__()
        self.shape = config.state_shape
        self.kv_cache: tuple[Tensor, ...] = ()
        vllm_config.compilation_config.static_forward_context[PAGES] = self

    def get_state_shape(self) -> Shapes:
        return (self.shape,)

    def get_state_dtype(self) -> Dtypes:
        return (torch.float32,)

    @property
    def mamba_type(self) -> MambaAttentionBackendEnum:
        return MambaAttentionBackendEnum.LINEAR


class PluresStudentForCausalLM(nn.Module, HasInnerState, IsAttentionFree, SupportsMambaPrefixCaching):
    """Tokens in, tokens out: the slow weights of a checkpoint, run by vLLM."""

    # vLLM would read all safetensors, and `plures imitate` leaves those of the training beside.
    allow_patterns_overrides = (WEIGHTS,)

    @classmethod
    def get_mamba_state_dtype_from_config(cls, vllm_config: VllmConfig) -> Dtypes:
        return (torch.float32,)

    @classmethod
    def get_mamba_state_shape_from_config(cls, vllm_config: VllmConfig) -> Shapes:
        return (_student_config(vllm_config).state_shape,)

    @classmethod
    def get_mamba_state_copy_func(cls) -> object:
        return MambaStateCopyFuncCalculator.linear_attention_state_copy_func()

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = _student_config(vllm_config)
        self.student = Student(config)
        self.pages = Pages(config, vllm_config)

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        return embed_tokens(self.student, input_ids, torch.zeros_like(input_ids, dtype=torch.bool))

    def forward(self, input_ids: Tensor, positions: Tensor, *others: object, **more: object) -> Tensor:
        """What the head reads, [T, D]: first the requests that go on by one token each, then the longer ones."""
        x_TD = embed_tokens(self.student, input_ids.long(), positions == 0)
        context = get_forward_context().attn_metadata
        # There are no states yet while vLLM finds out how much memory the rest takes.
        return x_TD if context is None else self._lived(x_TD, context[PAGES])

    def compute_logits(self, read_TD: Tensor) -> Tensor:
        logits: Tensor = self.student.head(read_TD)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        tensors = dict(weights)
        self.student.load_state_dict(tensors, strict=True)
        return {f"student.{name}" for name in tensors}

    def _lived(self, x_TD: Tensor, now: LinearAttentionMetadata) -> Tensor:
        pages, slot_R, singles = self.pages.kv_cache[0], now.state_indices_tensor.long(), now.num_decodes
        read_TD = torch.zeros_like(x_TD)
        if singles:
            slots = slot_R[:singles]
            # A prompt of one token comes here too: its block holds what another request left.
            pages[slots[now.seq_lens[:singles] == 1]] = 0
            read_TD[:singles] = self.student.advance(pages, slots, slots, x_TD[:singles])
        for row_GL, slot_G, known_G in _prompts(now, slot_R):
            state = pages[slot_G] * known_G[:, None, None, None]
            read_TD[row_GL], after = self.student.scan(x_TD[row_GL], list(state.unbind(1)))
            pages[slot_G] = torch.stack(after, 1)
        return read_TD


def _prompts(now: LinearAttentionMetadata, slot_R: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Longer requests, those of a length together: rows of their tokens, blocks, and whether there is a state yet."""
    start_R, length_R = now.query_start_loc[:-1], now.query_start_loc.diff()
    of_length: dict[int, list[int]] = {}
    for request in range(now.num_decodes, now.num_decodes + now.num_prefills):
        of_length.setdefault(int(length_R[request]), []).append(request)
    for length, requests in of_length.items():
        row_GL = start_R[requests, None].long() + torch.arange(length, device=start_R.device)
        yield row_GL, slot_R[requests], now.seq_lens[requests] > length


def _student_config(vllm_config: VllmConfig) -> StudentConfig:
    return StudentConfig.from_json(vllm_config.model_config.hf_config.student)
