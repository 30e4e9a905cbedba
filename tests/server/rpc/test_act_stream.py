"""The Act stream over a real channel: every message answered in its place, and none that harms another."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import tensor_pb2 as te
from plures_server.rpc.act_stream import beyond_horizon

from .helpers import Wire, array, item_refusal, packed, span, tensor

I4, F4 = te.DATA_TYPE_INT32, te.DATA_TYPE_FLOAT32

# What is wrong with a message to a cohort of three; the code and reason; what the sentence says.
BAD_MESSAGES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a name without a collection": ({"cohort": "joe"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "'joe'"),
    "a name that leads elsewhere": ({"cohort": "cohorts/../joe"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "'../joe'"),
    "nobody's name": ({"cohort": "cohorts/nobody"}, "NOT_FOUND", "UNKNOWN_COHORT", "no cohort 'nobody'"),
    "no ordinals": ({"ordinals": packed()}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "no agents"),
    "an empty range": ({"ordinals": span(1, 0)}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "no agents"),
    "an unknown agent": ({"ordinals": packed(0, 9)}, "NOT_FOUND", "UNKNOWN_AGENT", "not 9"),
    "the last ordinal there is": ({"ordinals": span(2**32 - 1, 1)}, "NOT_FOUND", "UNKNOWN_AGENT", "not 4294967295"),
    "an agent twice": ({"ordinals": packed(2, 2)}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "more than once"),
    "three bytes": (
        {"ordinals": te.Ordinals(packed=bytes(3))},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "3 bytes are no whole number"),
    ),
    "a range of all": (
        {"ordinals": span(0, 2**32 - 1)},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "select at most 262,144"),
    ),
    "an observation there is not": (
        {"observation": tensor([0, 0, 1], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "observation 1 of row 2 is not in Discrete(1)"),
    ),
    "observations of floats": (
        {"observation": tensor([0, 0, 0])},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "observation is torch.float32 [3]"),
    ),
    "too few observations": (
        {"observation": tensor([0, 0], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "observation has shape [2] for 3 agents"),
    ),
    "rewards cut short": (
        {"reward": te.Tensor(data_type=F4, shape=[3], data=bytes(11))},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "takes 12 bytes, not 11"),
    ),
    "rewards of a shape below 0": (
        {"reward": te.Tensor(data_type=F4, shape=[-3], data=bytes(12))},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward has shape [-3]"),
    ),
    "rewards of a huge shape": (
        {"reward": te.Tensor(data_type=F4, shape=[2**62, 2**62])},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "bytes, not 0"),
    ),
    "rewards of no type": (
        {"reward": te.Tensor(shape=[3], data=bytes(12))},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward has data_type 0"),
    ),
    "rewards of a type there is not": (
        {"reward": te.Tensor(data_type=77, shape=[3], data=bytes(12))},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward has data_type 77"),
    ),
    "rewards of whole numbers": (
        {"reward": tensor([0, 0, 1], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward is torch.int32 [3]"),
    ),
    "rewards in a column": (
        {"reward": tensor([[0], [0], [1]])},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward is torch.float32 [3, 1]"),
    ),
    "a reward that is no number": (
        {"reward": tensor([0, np.nan, 0])},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward nan of row 1"),
    ),
    "an infinite reward": (
        {"reward": tensor([0, 0, -np.inf])},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "reward -inf of row 2"),
    ),
    "done beyond 1": (
        {"done": tensor([0, 2, 0], "u1")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "done 2 of row 1 is neither 0 nor 1"),
    ),
    "done of whole numbers": (
        {"done": tensor([0, 1, 0], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "done is torch.int32 [3]"),
    ),
    "an action beyond the last": (
        {"action": tensor([0, 1, 2], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "action 2 of row 2 is not in Discrete(2)"),
    ),
    "an action below the first": (
        {"action": tensor([-1, 1, 1], "i4")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "action -1 of row 0"),
    ),
    "actions of long numbers": (
        {"action": tensor([0, 1, 1], "i8")},
        *("INVALID_ARGUMENT", "INVALID_ARGUMENT", "action is torch.int64 [3]"),
    ),
}


def test_a_bad_message_is_answered_by_an_error_and_the_stream_goes_on(wire: Wire) -> None:
    joe, jane = wire.start(3, seed=5), wire.start(3, seed=5)
    requests = []
    for number, (changes, *_) in enumerate(BAD_MESSAGES.values()):
        requests.append(ag.ActRequest(**({"id": 2 * number, "cohort": joe} | changes)))
        requests.append(ag.ActRequest(id=2 * number + 1, cohort=joe))
    answers = wire.act(requests)
    assert [answer.id for answer in answers] == [request.id for request in requests]
    for (what, (_, code, reason, said)), answer in zip(BAD_MESSAGES.items(), answers[::2], strict=True):
        refused = item_refusal(answer.error)
        assert (refused.code, refused.reason) == (code, reason), what
        assert said in refused.message, what
        assert not answer.HasField("action")
    alone = wire.act(ag.ActRequest(cohort=jane) for _ in BAD_MESSAGES)
    assert [answer.action for answer in answers[1::2]] == [answer.action for answer in alone], "a bad one did something"
    assert wire.cohort(joe).max_step == len(BAD_MESSAGES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "observations are missing"),
        ({"observation": tensor([[0, np.nan, 0]])}, "observation nan of row 0"),
        ({"observation": tensor([[0, np.inf, 0]])}, "observation inf of row 0"),
        ({"observation": tensor([[0, 0, -1.5]])}, "observation -1.5 of row 0"),
        ({"observation": tensor([[0, 0]])}, "observation is torch.float32 [1, 2]"),
        ({"observation": tensor([0, 0, 0])}, "observation has shape [3] for 1 agents"),
        ({"observation": tensor([[0, 0, 0]], "i4")}, "observation is torch.int32 [1, 3]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_student_cannot_see_is_refused(box_wire: Wire, changes: dict[str, Any], said: str) -> None:
    joe = box_wire.start(1, "box")
    bad, good = box_wire.act(
        [ag.ActRequest(cohort=joe, **changes), ag.ActRequest(cohort=joe, observation=tensor([[0, 1, -1]]))]
    )
    assert said in bad.error.message
    assert 0 <= array(good.action)[0] < 50
    assert box_wire.cohort(joe).max_step == 1


def test_more_agents_than_there_is_room_for_are_refused_and_the_stream_goes_on(box_wire: Wire) -> None:
    joe = box_wire.start(262_145, "box")
    capacity = box_wire.pool().bytes_capacity // 4096
    assert capacity < 1000
    nothing = np.zeros((262_145, 3), "<f4")
    answers = box_wire.act(
        [
            ag.ActRequest(cohort=joe, observation=tensor(nothing)),
            ag.ActRequest(cohort=joe, ordinals=span(0, 262_145), observation=tensor(nothing)),
            ag.ActRequest(
                cohort=joe, ordinals=span(0, 80_000), observation=tensor(nothing[:80_000]), want_log_probs=True
            ),
            ag.ActRequest(cohort=joe, ordinals=span(0, 5000), observation=tensor(nothing[:5000])),
            ag.ActRequest(cohort=joe, ordinals=span(5, 5), observation=tensor(nothing[:5]), want_log_probs=True),
        ]
    )
    refused = [item_refusal(answer.error) for answer in answers[:4]]
    assert [(one.code, one.reason) for one in refused] == [
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("RESOURCE_EXHAUSTED", "POOL_FULL"),
    ]
    assert "262,145 agents in one request; at most 262,144" in refused[0].message
    assert "select at most 262,144" in refused[1].message
    assert "with 50 actions, ask for 73,400 agents at once" in refused[2].message
    assert "5,000 more states of 4,096 bytes are needed" in refused[3].message
    assert array(answers[4].log_probs).shape == (5, 50)
    box_wire.agents.Retire(ag.RetireRequest(name=joe))


def test_an_answer_as_large_as_answers_get_arrives(box_wire: Wire) -> None:
    """Actions and log-probabilities of as many agents as the largest message allows, and as the pool holds."""
    room = box_wire.pool().bytes_capacity // 4096 - 10
    joe = box_wire.start(room, "box")
    [answer] = box_wire.act([ag.ActRequest(cohort=joe, observation=tensor(np.zeros((room, 3))), want_log_probs=True)])
    assert array(answer.log_probs).shape == (room, 50)
    box_wire.agents.Retire(ag.RetireRequest(name=joe))


def test_forced_actions_are_taken_and_weighed(wire: Wire) -> None:
    joe = wire.start(4)
    forced = [tensor(actions, "i4") for actions in ([0, 1, 1, 0], [1, 1, 0, 0])]
    answers = wire.act(ag.ActRequest(cohort=joe, action=action, want_log_probs=True) for action in forced)
    assert [answer.action for answer in answers] == forced
    assert np.allclose(np.exp(array(answers[0].log_probs)).sum(1), 1)
    rows = array(answers[1].log_probs)
    assert np.array_equal(rows[1], rows[2])
    assert not np.array_equal(rows[0], rows[1]), "what it was made to do makes a difference"


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_any_seed_is_a_seed(wire: Wire, seed: int) -> None:
    joe, jane = wire.start(20, seed=seed), wire.start(20, seed=seed)
    assert wire.cohort(joe).seed == seed
    lives = [[answer.action for answer in wire.act([ag.ActRequest(cohort=name)] * 10)] for name in (joe, jane)]
    assert lives[0] == lives[1]
    other = wire.start(20, seed=seed ^ 1)
    assert [answer.action for answer in wire.act([ag.ActRequest(cohort=other)] * 10)] != lives[0]


def test_steps_in_flight_are_carried_out_in_the_order_sent(wire: Wire) -> None:
    joe, jane = wire.start(1, seed=3), wire.start(1, seed=3)
    rewards = np.linspace(-1, 1, 200)
    together = wire.act(ag.ActRequest(id=n, cohort=joe, reward=tensor([reward])) for n, reward in enumerate(rewards))
    assert [answer.id for answer in together] == list(range(200))
    apart = [wire.act([ag.ActRequest(cohort=jane, reward=tensor([reward]))])[0] for reward in rewards]
    assert [answer.action for answer in together] == [answer.action for answer in apart]


@pytest.mark.parametrize("read", [0, 1, 30])
def test_a_stream_that_is_broken_off_leaves_its_agents_free(wire: Wire, read: int) -> None:
    """However many answers were read, whether or not what was in flight was refused."""
    for _ in range(10):
        joe, hold = wire.start(2), threading.Event()

        def endless(joe: str = joe, hold: threading.Event = hold) -> Iterator[ag.ActRequest]:
            for n in range(200):
                yield ag.ActRequest(id=n, cohort=joe, ordinals=packed(n % 3))
            hold.wait(20)

        stream = wire.agents.Act(endless())
        assert [next(stream).id for _ in range(read)] == list(range(read))
        stream.cancel()
        hold.set()
        with pytest.raises(grpc.RpcError):
            list(stream)
        [answer] = wire.act([ag.ActRequest(cohort=joe)])
        assert not answer.HasField("error")


def test_what_trailing_metadata_says_of_many_cohorts_fits_in_it() -> None:
    told = beyond_horizon({f"cohorts/{'a' * 60}{n:03}": n + 1 for n in range(1000)})
    assert sum(len(key) + len(value) + 32 for key, value in told) < 8192
    assert told[0] == ("plures-beyond-horizon", f"{'a' * 60}999=1000")
