"""The KV connector that gives requests named recurrent state: `--kv-transfer-config` names it.

A request says in its kv_transfer_params {"load": NAME, "save": NAME}; its prompt is what is new. It costs the new
tokens alone, however long the history is.
"""

import multiprocessing
from contextlib import ExitStack
from typing import Any

from plures_kernels.errors import InvalidArgument
from torch import Tensor
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorRole,
    KVConnectorTransferResults,
    SupportsHMA,
)
from vllm.v1.kv_cache_interface import MambaSpec

from ..leaving import leave_quickly, leave_with_parent
from .fingerprint import fingerprint
from .folder import StateFolder
from .orders import Orders, Outcomes
from .scheduling import Scheduling
from .working import Keeping, Working


class NamedStateConnector(KVConnectorBase_V1, SupportsHMA):
    """For attention-free models on one worker, with prefix caching off.

    kv_connector_extra_config: `folder` of the states; `disk_mb` that they may take, no limit when not given; and what
    `Keeping` says of the rest.
    """

    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any) -> None:
        super().__init__(vllm_config, role, kv_cache_config)
        page_bytes = _require_recurrent(vllm_config, kv_cache_config)
        extra = vllm_config.kv_transfer_config.kv_connector_extra_config
        folder, model = StateFolder.configured(extra), fingerprint(vllm_config)
        self._held = ExitStack()
        if multiprocessing.parent_process() is not None:  # one of vLLM's own, not a program that runs it within
            leave_quickly()
            leave_with_parent()
        if role is KVConnectorRole.SCHEDULER:
            self._held.enter_context(folder.served())
            self._scheduling = Scheduling(folder, model, vllm_config.model_config.max_model_len, page_bytes)
        else:
            self._layers: list[str] = []
            self._working = Working(folder, model, Keeping.of(extra))

    # What the scheduler asks.

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int | None, bool]:
        if num_computed_tokens:
            return 0, False
        tokens = self._scheduling.tokens_in_state(request)
        return tokens, bool(tokens)

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        if num_external_tokens:
            self._scheduling.allocated(request, blocks.get_block_ids()[0][-1])

    def build_connector_meta(self, scheduler_output: Any) -> Orders:
        return self._scheduling.take_orders()

    def update_connector_output(self, connector_output: Any) -> None:
        if isinstance(outcomes := connector_output.kv_connector_worker_meta, Outcomes):
            self._scheduling.take_outcomes(outcomes)

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        return self._scheduling.finished(request, block_ids[0][-1] if block_ids and block_ids[0] else None)

    # What the worker is told.

    def register_kv_caches(self, kv_caches: dict[str, Tensor]) -> None:
        self._layers = list(kv_caches)

    def start_load_kv(self, forward_context: Any, **others: Any) -> None:
        orders = self._get_connector_metadata()
        assert isinstance(orders, Orders)
        # What is registered are raw bytes; the layers know what is in them.
        known = self._vllm_config.compilation_config.static_forward_context
        self._working.carry_out(orders, {layer: known[layer].kv_cache for layer in self._layers})

    def wait_for_layer_load(self, layer_name: str) -> None:
        """States are there before a request is scheduled."""

    def save_kv_layer(self, layer_name: str, kv_layer: Tensor, attn_metadata: Any, **others: Any) -> None:
        """States are saved when a request has ended."""

    def wait_for_save(self) -> None:
        """Blocks are kept until they are copied."""

    def get_transfer_results(self, finished_req_ids: set[str]) -> KVConnectorTransferResults:
        loaded, failed = self._working.take_loaded()
        return KVConnectorTransferResults(self._working.take_copied(), loaded, failed)

    def build_connector_worker_meta(self) -> Outcomes | None:
        return self._working.take_outcomes()

    def shutdown(self) -> None:
        if self._role is KVConnectorRole.WORKER:
            self._working.close()
        self._held.close()


def _require_recurrent(vllm_config: Any, kv_cache_config: Any) -> int:
    """Bytes of a state; InvalidArgument for whatever named states do not hold for."""
    groups = [group.kv_cache_spec for group in kv_cache_config.kv_cache_groups]
    if not all(isinstance(spec, MambaSpec) for spec in groups) or len(groups) != 1:
        kinds = ", ".join(type(spec).__name__ for spec in groups)
        raise InvalidArgument(
            "named states hold for models whose whole memory is one recurrent state, and "
            f"{vllm_config.model_config.model} keeps {kinds}: what attention reads grows with the history and is in no "
            "state; serve it with prefix caching, or take an attention-free model"
        )
    if vllm_config.cache_config.enable_prefix_caching:
        raise InvalidArgument("named states and prefix caching do not go together; add --no-enable-prefix-caching")
    if vllm_config.parallel_config.world_size != 1:
        raise InvalidArgument(f"named states need one worker, not {vllm_config.parallel_config.world_size}")
    if vllm_config.num_speculative_tokens:
        raise InvalidArgument("named states and speculative decoding do not go together; drop --speculative-config")
    return int(groups[0].page_size_bytes) * len(kv_cache_config.kv_cache_groups[0].layer_names)
