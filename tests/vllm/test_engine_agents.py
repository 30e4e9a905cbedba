"""`plures-server --engine vllm`: agents that vLLM steps, behind the same API, client and coordinators."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from plures_client import Client, Cohort, Items, Life
from plures_client.coordinators import BestOf, Map, Tree, Vote
from plures_client.coordinators.problem import Children, Nodes, Results
from plures_client.errors import FailedPrecondition, InvalidArgument, PluresClientError
from plures_kernels import counter
from plures_students.model import Student
from plures_students.sampling import sample
from plures_students.text import save_byte_tokenizer
from plures_students.tokens import perceived

from .helpers import byte_student, saved, wait_until
from .serving import serving

STUDENT = "poet"
TASK = "tests.vllm.speaking_env:Speaking-v0"
RNG = np.random.default_rng(8)
HEARD_TB = RNG.integers(97, 123, size=(6, 3)).astype(np.int32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = saved(tmp_path_factory.mktemp("models") / STUDENT, byte_student())
    save_byte_tokenizer(model)
    return model


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    data = tmp_path_factory.mktemp("data")
    with serving(model, data, {"max_model_len": 1024}, "--gymnasium", TASK) as address, Client(address) as client:
        yield client


@pytest.fixture
def cohort(client: Client, request: pytest.FixtureRequest) -> Iterator[Cohort]:
    name = re.sub(r"[^a-z]+", "-", request.node.name)[:60].strip("-")
    yield client.cohorts.start(name, student=STUDENT, count=3, seed=5)
    for one in client.cohorts.list():
        client.cohort(one.name).retire()


def lived(student: Student, heard_TB: np.ndarray) -> torch.Tensor:
    """Log-probabilities [T, B, V] by our own engine after each token, to agents that say what they hear next."""
    rows = heard_TB.shape[1]
    pages, slots = torch.zeros(rows, student.config.page_floats), torch.arange(rows)
    told = []
    for t, token_B in enumerate(torch.from_numpy(heard_TB)):
        told.append(student.step(pages, slots, slots, perceived(token_B, torch.full((rows,), t == 0))).log_softmax(-1))
    return torch.stack(told)


def thinks(cohort: Cohort, heard_TB: np.ndarray) -> torch.Tensor:
    told = [cohort.act(observation=heard_B, want_log_probs=True).log_probs for heard_B in heard_TB]
    return torch.tensor(np.stack(told))


def test_the_model_is_told_as_a_student(client: Client) -> None:
    (told,) = client.students.list()
    assert (told.name, told.rule, told.action_space) == (STUDENT, "gated_delta", {"type": "Discrete", "n": 256})
    assert told.observation_space == told.action_space
    assert told.parameters == sum(weight.numel() for weight in byte_student().parameters())
    assert told.page_bytes == 4 * byte_student().config.page_floats


def test_agents_act_as_those_that_our_engine_steps(cohort: Cohort) -> None:
    torch.testing.assert_close(thinks(cohort, HEARD_TB), lived(byte_student(), HEARD_TB), atol=1e-4, rtol=1e-4)
    said = cohort.act(observation=HEARD_TB[0], want_log_probs=True, want_steps=True)
    assert said.step is not None
    assert said.step.tolist() == [7, 7, 7]
    seed = counter.bits(torch.tensor([5]), torch.arange(3))
    drawn = sample(torch.tensor(said.log_probs), seed, torch.full((3,), 6))
    assert said.action.tolist() == drawn.tolist()


def test_a_fork_knows_all_and_goes_its_own_way(cohort: Cohort) -> None:
    thinks(cohort, HEARD_TB[:3])
    fork = cohort.fork("twin", copies=1, seed=9)
    other_TB = HEARD_TB[::-1]
    torch.testing.assert_close(thinks(fork, HEARD_TB[3:4]), thinks(cohort, HEARD_TB[3:4]), atol=1e-4, rtol=1e-4)
    thinks(fork, other_TB[:2])
    expected = lived(byte_student(), np.concatenate([HEARD_TB[:4], HEARD_TB[4:5]]))[-1:]
    torch.testing.assert_close(thinks(cohort, HEARD_TB[4:5]), expected, atol=1e-4, rtol=1e-4)
    expected = lived(byte_student(), np.concatenate([HEARD_TB[:4], other_TB[:3]]))[-1:]
    torch.testing.assert_close(thinks(fork, other_TB[2:3]), expected, atol=1e-4, rtol=1e-4)


def test_a_snapshot_is_restored_and_a_merge_of_equals_is_they(client: Client, cohort: Cohort) -> None:
    thinks(cohort, HEARD_TB[:3])
    cohort.snapshot("after-three")
    cohort.fork("copies", copies=1).merge("mean", [1])
    thinks(cohort, HEARD_TB[3:])
    again = client.snapshots.restore("after-three", "again")
    expected = lived(byte_student(), HEARD_TB)[3]
    torch.testing.assert_close(thinks(again, HEARD_TB[3:4])[0], expected, atol=1e-4, rtol=1e-4)
    merged = thinks(client.cohort("mean"), HEARD_TB[3:4, 1:2])[0]
    torch.testing.assert_close(merged, expected[1:2], atol=1e-4, rtol=1e-4)
    client.snapshots.delete("after-three")


def test_who_is_retired_leaves_no_state(client: Client, cohort: Cohort) -> None:
    thinks(cohort, HEARD_TB[:2])
    assert client.pool().bytes_used == 3 * 4 * byte_student().config.page_floats
    assert cohort.retire([0, 1]) == 2
    cohort.act([2], observation=HEARD_TB[2, 2:3])
    cohort.retire()
    assert (client.pool().agents, client.pool().bytes_used) == (0, 0)


def test_agents_become_what_a_recorded_life_makes_of_them(cohort: Cohort) -> None:
    """Made to say what they hear next, as those that `lived` tells of."""
    thinks(cohort, HEARD_TB[:1])
    said_TB = np.roll(HEARD_TB[1:], -1, axis=0)
    lives = [Life(action=said_TB[:, b], observation=HEARD_TB[1:, b]) for b in range(3)]
    became = cohort.become(lives, want_log_probs=True)
    told_TBV = lived(byte_student(), HEARD_TB)
    expected = np.stack([told_TBV[1:, b].numpy()[np.arange(5), said_TB[:, b]] for b in range(3)])
    np.testing.assert_allclose(np.stack(became.log_probs), expected, atol=1e-4, rtol=1e-4)
    assert cohort.describe().max_step == 6
    further_TB = HEARD_TB[::-1][:1]
    expected_BV = lived(byte_student(), np.concatenate([HEARD_TB, further_TB]))[-1]
    torch.testing.assert_close(thinks(cohort, further_TB)[0], expected_BV, atol=1e-4, rtol=1e-4)


def test_who_cannot_become_a_life_stays_as_it_was(cohort: Cohort) -> None:
    thinks(cohort, HEARD_TB[:1])
    with pytest.raises(InvalidArgument, match="256"):
        cohort.become([Life(action=np.array([97, 256]), observation=np.array([97, 97]))] * 3)
    expected = lived(byte_student(), HEARD_TB[:2])[-1]
    torch.testing.assert_close(thinks(cohort, HEARD_TB[1:2])[0], expected, atol=1e-4, rtol=1e-4)


def test_text_is_read_and_what_is_said_comes_as_it_is_said(client: Client, cohort: Cohort) -> None:
    pieces = list(cohort.say("ex uno ", max_tokens=12, temperature=0))
    assert len(pieces) > 12
    said = {n: [token for piece in pieces if piece.ordinal == n for token in piece.tokens] for n in range(3)}
    ends = {n: [piece.end for piece in pieces if piece.ordinal == n][-1] for n in range(3)}
    assert ends == {0: "length", 1: "length", 2: "length"}
    stream = list(b"ex uno ")
    for _ in range(12):
        stream.append(int(lived(byte_student(), np.array([stream], np.int32).T)[-1, 0].argmax()))
    assert said == dict.fromkeys(range(3), stream[7:])
    assert cohort.describe().max_step == len(stream)
    # All that was read and said is behind them.
    expected = lived(byte_student(), np.array([[*stream, 97]] * 3, np.int32).T)[-1]
    torch.testing.assert_close(thinks(cohort, np.full((1, 3), 97, np.int32))[0], expected, atol=1e-4, rtol=1e-4)


def test_what_agents_say_differs_by_their_seeds_and_is_said_again_by_the_same(client: Client, cohort: Cohort) -> None:
    again = client.cohorts.start("again", student=STUDENT, count=3, seed=5)
    first, second = ({n: [] for n in range(3)} for _ in range(2))
    for heard, said in ((first, cohort.say("plures", max_tokens=16)), (second, again.say("plures", max_tokens=16))):
        for piece in said:
            heard[piece.ordinal] += piece.tokens.tolist()
    assert first == second
    assert len({tuple(tokens) for tokens in first.values()}) == 3


def test_others_act_while_some_speak_and_who_is_left_early_is_as_before(client: Client, cohort: Cohort) -> None:
    speakers = client.cohorts.start("speakers", student=STUDENT, count=2, seed=1)
    saying = speakers.say([97, 98], max_tokens=900)
    assert next(saying).tokens.size
    told = thinks(cohort, HEARD_TB[:2])
    with pytest.raises(FailedPrecondition, match="wait for it"):
        speakers.act(observation=np.array([97, 97]))
    saying.close()
    torch.testing.assert_close(told, lived(byte_student(), HEARD_TB)[:2], atol=1e-4, rtol=1e-4)
    wait_until(lambda: _is_idle(speakers))
    assert speakers.describe().max_step == 1


def _is_idle(cohort: Cohort) -> bool:
    try:
        cohort.act(observation=np.array([97, 97]))
    except FailedPrecondition:
        return False
    return True


def test_a_token_to_stop_at_ends_what_is_said(cohort: Cohort) -> None:
    all_tokens = list(range(256))
    (piece,) = cohort.say("ab", [1], max_tokens=50, stop_tokens=all_tokens)
    assert (piece.ordinal, piece.end, piece.tokens.size) == (1, "stop", 1)


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "words"),
    [("", 5, "at least one is read"), ([256], 5, "token 256 is none"), ("a", 0, "max_tokens 0"), ("a", 2000, "1024")],
    ids=str,
)
def test_what_cannot_be_said_is_refused(cohort: Cohort, prompt: str, max_tokens: int, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        list(cohort.say(prompt, max_tokens=max_tokens))
    assert cohort.act(observation=HEARD_TB[0]).action.size == 3


def test_what_vllm_does_not_do_is_said(client: Client, cohort: Cohort) -> None:
    with pytest.raises(PluresClientError, match="hosts one model; start another server") as caught:
        client.students.load("another")
    assert caught.value.reason == "NOT_OFFERED"
    with pytest.raises(InvalidArgument, match="keeps no data"):
        client.cohorts.start("lasting", student=STUDENT, count=1, durability="log")


class Speaking:
    """Which copy says how many lucky tokens, as a problem for every strategy."""

    def __init__(self, count: int) -> None:
        self.items = Items.of(f"gymnasium:{TASK}", np.zeros((count, 0)), steps=4, seed=11)

    def split(self) -> Items:
        return self.items

    def score(self, results: Results) -> np.ndarray:
        return results.column("reward")

    def choice(self, results: Results) -> np.ndarray:
        return results.column("reward").astype(int)

    def combine(self, results: Results) -> list[float]:
        return results.column("reward").tolist()


class Growing:
    """Each root asks for one item more."""

    def split(self) -> Items:
        return Speaking(3).items

    def grow(self, level: Nodes) -> Children | None:
        return Children(Speaking(3).items, np.arange(3)) if level.depth == 0 else None

    def combine(self, levels: list[Nodes]) -> list[list[float]]:
        return [level.results.column("reward").tolist() for level in levels]


def test_coordinators_work_on_them_as_on_any_agents(cohort: Cohort) -> None:
    alone = cohort.solve(Map(), Speaking(4))
    assert len(alone) == 4
    assert all(0 <= lucky <= 4 for lucky in alone)
    assert alone == cohort.solve(Map(), Speaking(4)), "an item is done by a fork that keeps nothing"
    best = cohort.solve(BestOf(3), Speaking(4))
    assert all(lucky >= once for lucky, once in zip(best, alone, strict=True))
    assert set(cohort.solve(Vote(3), Speaking(2))) <= {0, 1, 2, 3, 4}
    assert [len(level) for level in cohort.solve(Tree(), Growing())] == [3, 3]
    assert cohort.describe().max_step == 0


def test_a_task_is_run_on_them(cohort: Cohort) -> None:
    result = cohort.run(f"gymnasium:{TASK}", np.zeros((3, 0)), steps=5, seed=2, record=3).result()
    assert result.summary.shape == (3, 3)
    assert cohort.describe().max_step == 5
