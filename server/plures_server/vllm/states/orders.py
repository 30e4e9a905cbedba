"""What a request may ask about named states, and what the scheduler and the worker of vLLM tell each other of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plures_kernels.errors import InvalidArgument
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorMetadata, KVConnectorWorkerMetadata

from .folder import check_name
from .state_file import Facts

_KEYS = ("load", "save", "last", "sync")


@dataclass(frozen=True)
class TransferParams:
    """A request's kv_transfer_params: go on from `load`, leave the state under `save`.

    keeps_last: whether the token that was sampled last belongs to the saved history; not when a call was to read alone.
    syncs: whether the state is on the disk before it goes by its name.
    """

    load: str | None = None
    save: str | None = None
    keeps_last: bool = True
    syncs: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any] | None) -> "TransferParams":
        """InvalidArgument: an entry that is not known, or no name."""
        params = params or {}
        if unknown := set(params) - set(_KEYS):
            raise InvalidArgument(f"kv_transfer_params has {sorted(unknown)[0]!r}; it may have {', '.join(_KEYS)}")
        if params.get("last", "keep") not in ("keep", "drop"):
            raise InvalidArgument(f"last is 'keep' or 'drop', not {params['last']!r}")
        if not isinstance(syncs := params.get("sync", False), bool):
            raise InvalidArgument(f"sync is true or false, not {syncs!r}")
        load, save = (None if params.get(key) is None else check_name(params[key]) for key in ("load", "save"))
        return cls(load, save, params.get("last") != "drop", syncs)


@dataclass(frozen=True)
class Load:
    """Copy a state to a block. version: the one that the request was promised."""

    request: str
    name: str
    version: str
    block: int


@dataclass(frozen=True)
class Refuse:
    """Let a request fail."""

    request: str
    why: str


@dataclass(frozen=True)
class Save:
    """Copy a block to a state. syncs: bring it to the disk at once."""

    request: str
    name: str
    facts: Facts
    block: int
    syncs: bool


@dataclass
class Orders(KVConnectorMetadata):
    """From the scheduler to the worker, with every step."""

    loads: list[Load] = field(default_factory=list)
    saves: list[Save] = field(default_factory=list)
    refusals: list[Refuse] = field(default_factory=list)


@dataclass
class Outcomes(KVConnectorWorkerMetadata):
    """From the worker to the scheduler: saves by version that are on the disk (None), or why they are not."""

    saved: dict[str, str | None] = field(default_factory=dict)

    def aggregate(self, other: KVConnectorWorkerMetadata) -> "Outcomes":
        assert isinstance(other, Outcomes)
        return Outcomes(self.saved | other.saved)
