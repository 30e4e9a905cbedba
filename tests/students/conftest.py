"""Tests run side by side: one thread each, since threads that wait for each other's cores are slower than none."""

import numba
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    numba.set_num_threads(1)
