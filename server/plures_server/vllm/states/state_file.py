"""One named state as a file: safetensors, with what must be known of it as metadata. Never a pickle."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, uint8

from .errors import DamagedState

FORMAT = "plures-named-state-1"
_PREFIX = 8
_LONGEST_HEADER = 100 << 20
"""As safetensors has it."""


@dataclass(frozen=True)
class Facts:
    """What is known of a state without reading its tensors.

    model: fingerprint of the model that it belongs to. tokens: how many were read into it. pending: tokens that were
    said last and not read yet; whoever loads the state reads them first. version: another one at each save.
    """

    model: str
    tokens: int
    pending: tuple[int, ...] = ()
    version: str = ""

    def renewed(self) -> "Facts":
        return replace(self, version=uuid.uuid4().hex)


@dataclass(frozen=True)
class State:
    """The tensors of a state, by layer and number, on the CPU."""

    facts: Facts
    tensors: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


def encode(state: State) -> bytes:
    """The file's content."""
    tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
    form = {**asdict(state.facts), "format": FORMAT, "checksum": _checksum(tensors)}
    return bytes(save(tensors, {"plures": json.dumps(form)}))


def read_facts(path: Path) -> Facts:
    """The facts of a file, without its tensors. FileNotFoundError, DamagedState."""
    with open(path, "rb") as file:
        header = file.read(_PREFIX)
        header += file.read(min(int.from_bytes(header, "little"), _LONGEST_HEADER))
        size = os.fstat(file.fileno()).st_size
    if size != len(header) + _data_bytes(path, header):
        raise _damaged(path, f"it has {size} bytes, which is not what it should have")
    return _facts(path, _form(path, header))


def read_state(path: Path) -> State:
    """The whole state, its checksum compared. FileNotFoundError, DamagedState."""
    # At once, since the file of that name may be replaced at any time.
    data = path.read_bytes()
    form = _form(path, data)
    try:
        tensors = dict(sorted(load(data).items()))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise _damaged(path, error) from error
    if form.get("checksum") != _checksum(tensors):
        raise _damaged(path, "its checksum is another")
    return State(_facts(path, form), tensors)


def _form(path: Path, data: bytes) -> dict[str, Any]:
    """What safetensors has as metadata at the head of a file."""
    try:
        form = json.loads(_header(path, data)["__metadata__"]["plures"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(form, dict) or form.get("format") != FORMAT:
        raise _damaged(path, f"it is no {FORMAT}")
    return form


def _header(path: Path, data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data[_PREFIX : _PREFIX + int.from_bytes(data[:_PREFIX], "little")])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(header, dict):
        raise _damaged(path, "it has no header")
    return header


def _data_bytes(path: Path, header: bytes) -> int:
    """What the tensors take, by a header."""
    entries = (entry for name, entry in _header(path, header).items() if name != "__metadata__")
    try:
        return max((int(entry["data_offsets"][1]) for entry in entries), default=0)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, error) from error


def _facts(path: Path, form: dict[str, Any]) -> Facts:
    pending = form.get("pending")
    whole = [form.get("tokens"), *pending] if isinstance(pending, list) else [None]
    words = [form.get("model"), form.get("version")]
    if not all(type(n) is int and n >= 0 for n in whole) or not all(isinstance(word, str) for word in words):
        raise _damaged(path, f"its facts are {form!r}")
    return Facts(form["model"], form["tokens"], tuple(form["pending"]), form["version"])


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        sha.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        sha.update(tensor.flatten().view(dtype=uint8).numpy().data)
    return sha.hexdigest()


def _damaged(path: Path, why: object) -> DamagedState:
    return DamagedState(f"state {path.stem!r} is damaged ({why}); delete it, or import it again")
