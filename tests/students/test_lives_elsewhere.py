"""Lives from Minari, from gymnasium's environments, and from files larger than memory."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium.spaces import Box, Dict, Discrete
from plures_students.commands import lives as command
from plures_students.lives import (
    Lives,
    LivesError,
    import_minari,
    read_lives,
    rollout,
    stream_lives,
    summarise,
    write_lives,
)
from plures_students.teachers import Bandit, DarkRoom, QLearner, Thompson, record

AGENT = """
def greedy(env, seed):
    def act(observation, reward, done):
        return int(observation[2] > 0)
    return act

def wrong(env, seed):
    return lambda observation, reward, done: 7
"""


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_agents.py").write_text(AGENT)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def minari_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    episodes = [
        EpisodeBuffer(
            id=n,
            observations=[np.array([n, t], np.float32) for t in range(length + 1)],
            actions=[t % 2 for t in range(length)],
            rewards=[float(10 * n + t) for t in range(length)],
            terminations=[t == length - 1 for t in range(length)],
            truncations=[False] * length,
            infos={},
        )
        for n, length in enumerate((3, 5))
    ]
    minari.create_dataset_from_buffers(
        dataset_id="tests/ladder-v0", buffer=episodes, action_space=Discrete(2), data_format="arrow",
        observation_space=Box(-np.inf, np.inf, (2,), np.float32), algorithm_name="none", author="nobody",
        author_email="nobody@example.org", code_permalink="https://example.org", description="two episodes",
    )  # fmt: skip
    return "tests/ladder-v0"


@pytest.mark.filterwarnings("ignore")
def test_an_episode_of_minari_is_a_life(minari_data: str) -> None:
    lives = import_minari(minari_data)
    assert lives.lengths.tolist() == [3, 5]
    assert lives.reward_N.tolist() == [0, 1, 2, 10, 11, 12, 13, 14]
    assert lives.action_N.tolist() == [0, 1, 0, 0, 1, 0, 1, 0]
    assert lives.observation_N[4].tolist() == [1, 1]
    assert np.flatnonzero(lives.done_N).tolist() == [2, 7]


@pytest.mark.filterwarnings("ignore")
def test_all_episodes_of_minari_may_be_the_life_of_one_learner(minari_data: str, tmp_path: Path) -> None:
    options = ["import-minari", minari_data, "--life-is", "dataset", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(command, options)
    assert said.exit_code == 0, said.output
    lives = read_lives(tmp_path / "out")
    assert lives.lengths.tolist() == [8]
    assert np.flatnonzero(lives.done_N).tolist() == [2, 7]


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_that_is_not_there_is_refused_by_name(minari_data: str) -> None:
    with pytest.raises(LivesError, match="tests/none-v0 cannot be loaded"):
        import_minari("tests/none-v0")


def test_without_minari_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(LivesError, match=r"pip install 'plures\[minari\]'"):
        import_minari("any-v0")


def test_an_agent_lives_over_episodes(agents: None) -> None:
    lives = rollout("CartPole-v1", "some_agents:greedy", lives=2, steps=120, seed=3)
    assert lives.lengths.tolist() == [120, 120]
    assert lives.observation_N.shape == (240, 4)
    assert 1 <= lives.done_N.sum() < 20
    assert np.array_equal(lives.action_N, lives.observation_N[:, 2] > 0)
    env = gymnasium.make("CartPole-v1")
    np.testing.assert_array_equal(lives.observation_N[0], env.reset(seed=3)[0])


def test_a_rollout_is_a_function_of_its_seed(tmp_path: Path) -> None:
    options = ["rollout", "CartPole-v1", "--lives", "2", "--steps", "30"]
    for out in ("first", "again"):
        said = CliRunner().invoke(command, [*options, "--out", str(tmp_path / out)])
        assert said.exit_code == 0, said.output
    first, again = (read_lives(tmp_path / out) for out in ("first", "again"))
    assert np.array_equal(first.observation_N, again.observation_N)
    assert np.array_equal(first.action_N, again.action_N)
    refused = CliRunner().invoke(command, [*options, "--out", str(tmp_path / "first")])
    assert "first exists; name a directory that does not" in refused.output


@pytest.mark.parametrize(
    ("environment", "agent", "said"),
    [
        ("Nowhere-v0", "random", "environment Nowhere-v0 cannot be made"),
        ("CartPole-v1", "nobody", "agent 'nobody' is neither random nor a MODULE:FUNCTION"),
        ("CartPole-v1", "some_agents:nobody", "is neither random nor"),
        ("CartPole-v1", "some_agents:wrong", r"life 0: action 7 of step 0 is not in Discrete\(2\)"),
    ],
)
def test_rollouts_that_cannot_be_are_refused(agents: None, environment: str, agent: str, said: str) -> None:
    with pytest.raises(LivesError, match=said):
        rollout(environment, agent, lives=1, steps=5, seed=0)


def test_spaces_that_lives_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(gymnasium.Env):
        observation_space = Dict({"a": Discrete(2)})
        action_space = Discrete(2)

    gymnasium.register("Elsewhere-v0", Elsewhere)
    with pytest.raises(LivesError, match=r"observation space .* is not Discrete, MultiDiscrete or Box"):
        rollout("Elsewhere-v0", "random", lives=1, steps=5, seed=0)
    gymnasium.registry.pop("Elsewhere-v0")


def same(first: Lives, second: Lives) -> bool:
    columns = ("life_L", "offsets", "step_N", "observation_N", "action_N", "reward_N", "done_N")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in columns)


@pytest.mark.parametrize("rows", [1, 7, 30, 64, 1000])
def test_a_stream_gives_whole_lives_and_all_of_them(tmp_path: Path, rows: int) -> None:
    lives = record(DarkRoom(3, episode=4), QLearner(), 6, 30, seed=0)
    write_lives(tmp_path, lives)
    parts = list(stream_lives(tmp_path, rows))
    assert sum(len(part) for part in parts) == 6
    places = np.cumsum([0] + [len(part) for part in parts])
    for part, first, last in zip(parts, places[:-1], places[1:], strict=True):
        assert same(part, lives.select(np.arange(first, last)))
        assert part.steps <= max(30, rows + 29)


@pytest.mark.parametrize("rows", [7, 1000])
def test_a_summary_of_a_stream_is_that_of_all(tmp_path: Path, rows: int) -> None:
    lives = record(DarkRoom(3, episode=4), QLearner(), 6, 30, seed=0)
    write_lives(tmp_path, lives)
    summary = summarise(stream_lives(tmp_path, rows))
    assert (summary.lengths, summary.episodes) == ([30] * 6, 48)
    assert (summary.lowest, summary.highest) == (0, 1)
    assert summary.mean_reward == pytest.approx(lives.reward_N.mean())


def test_a_stream_says_where_a_life_begins_again(tmp_path: Path) -> None:
    lives = record(Bandit(2), Thompson(), 3, 10, seed=0)
    write_lives(tmp_path, Lives(**{**vars(lives), "life_L": np.array([4, 5, 4])}))
    with pytest.raises(LivesError, match=r"life 4 begins again after row 20; a life's rows stand together"):
        list(stream_lives(tmp_path, 5))


def test_a_stream_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    lives = record(Bandit(2), Thompson(), 3, 10, seed=0)
    lives.reward_N[25] = np.nan
    write_lives(tmp_path, lives)
    with pytest.raises(LivesError, match=r"rows from 20 on: reward of row 5 is nan"):
        list(stream_lives(tmp_path, 10))
    (tmp_path / "lives.parquet").write_bytes(b"no")
    with pytest.raises(LivesError, match="cannot be read as Parquet"):
        list(stream_lives(tmp_path))
