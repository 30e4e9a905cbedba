"""Which model a state belongs to."""

import hashlib
import json
from pathlib import Path
from typing import Any

_WHOLE_BYTES = 64 << 20
_PART_BYTES = 1 << 20


def fingerprint(vllm_config: Any) -> str:
    """16 hex digits that follow from the config, the dtype and the weights of a model.

    Of a file of weights larger than 64 MiB, its size, first and last MiB stand for the whole.
    """
    model = vllm_config.model_config
    sha = hashlib.sha256(f"{model.dtype} {model.quantization} {model.revision}".encode())
    sha.update(json.dumps(_config(model.hf_config.to_dict()), sort_keys=True, default=str).encode())
    folder = Path(model.model)
    if not folder.is_dir():
        sha.update(str(model.model).encode())
        return sha.hexdigest()[:16]
    for path in sorted(path for suffix in ("safetensors", "bin", "pt") for path in folder.glob(f"*.{suffix}")):
        sha.update(path.name.encode() + _weights(path))
    return sha.hexdigest()[:16]


def _config(form: dict[str, Any]) -> dict[str, Any]:
    """What says where a config lies, or who wrote it, says nothing about the model."""
    return {key: value for key, value in form.items() if key not in ("_name_or_path", "transformers_version")}


def _weights(path: Path) -> bytes:
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= _WHOLE_BYTES:
            return hashlib.file_digest(file, "sha256").digest()
        first = file.read(_PART_BYTES)
        file.seek(-_PART_BYTES, 2)
        return hashlib.sha256(f"{size}".encode() + first + file.read(_PART_BYTES)).digest()
