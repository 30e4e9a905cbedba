"""A student that imitates text is a small language model."""

from pathlib import Path

import numpy as np
import pytest
from plures_kernels.errors import InvalidArgument
from plures_students.checkpoint import load_checkpoint
from plures_students.imitate.histories import Histories
from plures_students.imitate.likelihood import log_probs, nll
from plures_students.imitate.run import Imitation
from plures_students.imitate.settings import ImitationSettings
from plures_students.text import BYTES, cut, lives_of_text
from plures_students.tokens import vocabulary


def test_a_student_of_a_text_foretells_it(tmp_path: Path) -> None:
    sentences = [b"ex uno, plures. ", b"from one, many! "]
    text = b"".join(sentences[n] for n in np.random.default_rng(0).integers(2, size=120))
    lives = lives_of_text(cut(text, 96))
    settings = ImitationSettings(
        steps=25, batch=512, short=48, length=95, validate_every=25, relabel=False, rehearse=False, learning_rate=1e-2
    )
    Imitation(lives, None, tmp_path / "poet", "gated_delta", settings).run()
    student = load_checkpoint(tmp_path / "poet").student
    assert nll(log_probs(student, Histories(lives)), lives.action_N).mean() < 2.5 < np.log(BYTES) - 3
    assert vocabulary(student.config) == BYTES


def test_a_text_is_cut_in_pieces_and_what_is_left_is_left_out() -> None:
    assert cut(b"abcdefgh", 3) == [b"abc", b"def"]
    assert cut(b"ab", 3) == [b"ab"]


def test_a_text_of_one_byte_is_no_life() -> None:
    with pytest.raises(InvalidArgument, match="at least two bytes"):
        lives_of_text([b"abc", b"a"])
