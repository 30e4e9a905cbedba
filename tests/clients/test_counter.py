"""The client draws the very numbers that the server draws."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from plures_client import counter
from plures_kernels import counter as theirs
from plures_server.tasks.functions import ANGLE_STREAM, RADIUS_STREAM, normal

WORD = st.integers(0, 2**64 - 1)


@given(WORD, st.integers(0, 2**40), st.integers(0, 50))
def test_bits_are_those_of_the_kernels(seed, step, stream):
    signed = torch.from_numpy(np.array([seed], np.uint64).view(np.int64))

    assert counter.bits(seed, step, stream).view(np.int64) == theirs.bits(signed, step, stream).numpy()
    assert counter.uniform(seed, step, stream) == theirs.uniform(signed, step, stream).numpy()


def test_normal_numbers_are_the_servers_up_to_rounding():
    ours = counter.normal(7, np.arange(1000), RADIUS_STREAM, ANGLE_STREAM)

    np.testing.assert_allclose(ours, normal(torch.tensor([7]), torch.arange(1000)).numpy(), rtol=1e-4, atol=1e-5)
    assert abs(ours.mean()) < 0.2
    assert abs(ours.std() - 1) < 0.1
