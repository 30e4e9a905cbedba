"""Text as lives: each line of thought is a stream of bytes, and each byte an answer to those before.

Shapes: L lives, N bytes but the last of each life.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from plures_kernels.errors import InvalidArgument

from .lives import Lives, LivesCard

BYTES = 256
_TOKENIZER = "tokenizer.json"


def lives_of_text(texts: Sequence[bytes], title: str = "", source: str = "", licence: str = "") -> Lives:
    """A life a text, of at least two bytes: it sees a byte and does the next one. InvalidArgument: a shorter text."""
    if not texts or min(map(len, texts)) < 2:
        raise InvalidArgument("a text to be imitated has at least two bytes; leave shorter ones out")
    tokens = [np.frombuffer(text, np.uint8).astype(np.int32) for text in texts]
    lengths = np.array([len(text) - 1 for text in tokens])
    steps = int(lengths.sum())
    return Lives(
        card=LivesCard(Discrete(BYTES), Discrete(BYTES), title, source, licence),
        life_L=np.arange(len(texts)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        step_N=np.concatenate([np.arange(length) for length in lengths]),
        observation_N=np.concatenate([text[:-1] for text in tokens]),
        action_N=np.concatenate([text[1:] for text in tokens]),
        reward_N=np.zeros(steps, np.float32),
        done_N=np.zeros(steps, np.bool_),
        extra={},
    )


def cut(text: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes; a last one that is shorter is left out, unless it is all there is."""
    whole = len(text) // size
    return [text[size * i : size * (i + 1)] for i in range(whole)] or [text]


def save_byte_tokenizer(directory: Path) -> None:
    """Put beside a checkpoint what Hugging Face's tokenizers and vLLM need to turn text into bytes and back."""
    pieces = {f"<0x{byte:02X}>": byte for byte in range(BYTES)}
    model = {"type": "BPE", "vocab": pieces, "merges": [], "byte_fallback": True, "unk_token": None}
    form: dict[str, Any] = {
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}, "model": model,
    }  # fmt: skip
    chat = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": chat,
        "clean_up_tokenization_spaces": False,
    }
    (directory / _TOKENIZER).write_text(json.dumps(form))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
