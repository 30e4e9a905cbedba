"""Students of text perceive tokens."""

import pytest
import torch
from gymnasium.spaces import Box, Discrete
from plures_kernels.errors import InvalidArgument
from plures_students.config import StudentConfig
from plures_students.model import NO_ACTION, Student
from plures_students.tokens import embed_tokens, perceived, vocabulary


def test_looking_columns_up_is_embedding_what_is_perceived() -> None:
    student = Student(StudentConfig(Discrete(9), Discrete(9)))
    tokens, first = torch.arange(9).repeat(2), torch.arange(18) < 9
    torch.testing.assert_close(
        embed_tokens(student, tokens, first), student.embed(student.encode(perceived(tokens, first)))
    )


def test_a_student_has_said_what_it_sees_but_at_birth() -> None:
    inputs = perceived(torch.tensor([4, 4]), torch.tensor([True, False]))
    assert inputs.previous_action.tolist() == [NO_ACTION, 4]
    assert inputs.observation.tolist() == [4, 4]


@pytest.mark.parametrize("seen", [Discrete(1), Discrete(4), Box(0, 1, (3,))], ids=str)
def test_who_sees_what_it_cannot_say_is_no_language_model(seen: Discrete | Box) -> None:
    with pytest.raises(InvalidArgument, match="sees and says the same tokens"):
        vocabulary(StudentConfig(seen, Discrete(5)))
