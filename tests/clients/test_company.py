"""An agent's life is a function of its student, its seed and what it perceives: company makes no bit of difference."""

import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plures_client import Client, Cohort
from safetensors.numpy import load_file

BANDIT = {"p_0": 0.2, "p_1": 0.8}
_names = (f"company-{number}" for number in count())


@pytest.fixture(scope="module")
def crowd(server) -> Cohort:
    """Others, who are busy with a run all the time."""
    with Client(server.address) as client:
        crowd = client.cohorts.start("the-crowd", student="bandit", count=20_000, seed=99)
        ended = threading.Event()

        def busy() -> None:
            while not ended.is_set():
                crowd.run("bandit", BANDIT, steps=20).result()

        thread = threading.Thread(target=busy)
        thread.start()
        yield crowd
        ended.set()
        thread.join()
        crowd.retire()


def state_bytes(client: Client, cohort: Cohort, folder: Path) -> list[bytes]:
    """The agents' fast weights, by ordinal."""
    cohort.snapshot(cohort.name)
    whole = client.snapshots.download(cohort.name, folder / cohort.name)
    client.snapshots.delete(cohort.name)
    agents = load_file(next(whole.glob("agents*.safetensors")))
    shards = [load_file(path)["pages"] for path in sorted(whole.glob("pages-*.safetensors"))]
    # Page 0 is the newborn's, which no file needs to hold.
    pages = np.concatenate([np.zeros_like(shards[0][:1]), *shards])
    return [pages[page].tobytes() for page in agents["page"]]


def live(
    client: Client, company: int, reward_TB: np.ndarray, seed: int, folder: Path
) -> tuple[list[bytes], list[bytes]]:
    """What the first agents of a cohort do when they get these rewards, and what they become; others live beside."""
    agents = reward_TB.shape[1]
    cohort = client.cohorts.start(next(_names), student="bandit", count=agents + company, seed=seed)
    done = []
    for t, reward_B in enumerate(reward_TB):
        # The company is stepped in the same request, behind or before.
        others = np.arange(agents, agents + company) if t % 2 else np.arange(agents + company - 1, agents - 1, -1)
        rewards = np.concatenate([reward_B, np.ones(company)]).astype(np.float32)
        seen = cohort.act(np.concatenate([np.arange(agents), others]), reward=rewards, want_log_probs=True)
        done.append(seen.action[:agents].tobytes() + seen.log_probs[:agents].tobytes())
    states = state_bytes(client, cohort, folder)[:agents]
    cohort.retire()
    return done, states


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(agents=st.integers(1, 3), steps=st.integers(1, 4), company=st.integers(1, 6000), seed=st.integers(0, 2**63))
def test_an_agent_lives_to_the_same_bits_alone_and_in_any_company(
    client: Client, crowd: Cohort, tmp_path_factory: pytest.TempPathFactory, agents: int, steps: int, company: int,
    seed: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("states")
    reward_TB = np.random.default_rng(seed).random((steps, agents))
    alone = live(client, 0, reward_TB, seed, folder)
    assert live(client, company, reward_TB, seed, folder) == alone
    assert len(set(alone[1])) == agents, "agents of one cohort become different ones"
