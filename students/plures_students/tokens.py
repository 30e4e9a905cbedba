"""Students of text: they observe a token and choose the next one. As language models they take tokens and give tokens.

A stream x_0, x_1, … is lived so: at step t the student sees x_t, has itself said x_t (but at birth it has said
nothing), is given no reward, and says x_{t+1}.

Shapes: T tokens of any leading shape, D width, V tokens that there are, I encoded inputs.
"""

import torch
from gymnasium.spaces import Discrete
from plures_kernels.errors import InvalidArgument
from torch import Tensor
from torch.nn.functional import embedding

from .config import StudentConfig
from .model import NO_ACTION, Inputs, Student


def vocabulary(config: StudentConfig) -> int:
    """How many tokens a student of text knows. InvalidArgument: what it sees is not what it says."""
    seen, said = config.observation_space, config.action_space
    if not (isinstance(seen, Discrete) and seen.n == said.n and said.n > 1):
        raise InvalidArgument(
            f"a language model sees and says the same tokens, but this student sees {seen} and says {said}; "
            "imitate lives whose observations and actions are both tokens (`plures lives text` makes them)"
        )
    return int(said.n)


def perceived(token_T: Tensor, first_T: Tensor) -> Inputs:
    """What a student perceives of tokens; `first_T`: bool, whether the token is the first of its stream."""
    said_T = torch.where(first_T, NO_ACTION, token_T)
    nothing_T = torch.zeros(token_T.shape, device=token_T.device)
    return Inputs(token_T, said_T, nothing_T, nothing_T.bool())


def embed_tokens(student: Student, token_T: Tensor, first_T: Tensor) -> Tensor:
    """The embedded steps [T, D] of tokens: that of `perceived`, to rounding, by looking columns up."""
    tokens = student.config.actions
    columns_ID = student.embed.weight.t()
    seen_TD = embedding(token_T, columns_ID[:tokens])
    # The first of these columns stands for having said nothing.
    said_TD = embedding(torch.where(first_T, 0, token_T + 1), columns_ID[tokens : 2 * tokens + 1])
    return seen_TD + said_TD + student.embed.bias
