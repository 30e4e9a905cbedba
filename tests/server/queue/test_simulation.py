"""No interleaving of workers that crash, stall and miss replies breaks a promise; a queue that did would be caught."""

from collections.abc import Iterator

import pytest
from redis import Redis

from .simulation import Mutant, broken_promises

HELD = "return call('HGET', holders, id) == token"
ONE_HALF = ("for _, successor in ipairs(halves) do", "for _, successor in ipairs({halves[1]}) do")
MUTANTS: dict[str, Mutant] = {
    "any lease will do": dict.fromkeys(
        ("complete", "fail", "release", "renew"), ((HELD, "return call('HEXISTS', holders, id) == 1"),)
    ),
    "no fence against those who are late": {
        "complete": ((HELD, "return call('HEXISTS', live, root_of(id)) == 1"),),
    },
    "the last result wins as well": {
        "complete": (
            ("if is_held(id, token) then", "if not call('ZSCORE', finished, completion) then"),
            ("succeed(id, {})", "if call('HEXISTS', live, root_of(id)) == 1 then succeed(id, {}) end"),
        ),
    },
    "acknowledged before it is done": {"lease": (("call('ZADD', leases, unpack(deadlines))", ""),)},
    "renewals are lost": {"renew": (("call('ZADD', leases, deadline, ARGV[i])", ""),)},
    "accepted results are forgotten": {"complete": (("call('ZADD', finished, turn, completion)", ""),)},
    "a submission made twice is there twice": {"enqueue": (("if seen then", "if false then"),)},
    "half of a chunk that falls apart is lost": dict.fromkeys(("lease", "fail"), (ONE_HALF,)),
    "children of refused results": {
        "complete": (
            (
                "if is_held(id, token) then",
                "if not is_held(id, token) and children > 0 then\n"
                "put_child(id, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])\nend\nif is_held(id, token) then",
            ),
        ),
    },
}


@pytest.fixture(scope="module")
def blocking(server_url: str) -> Iterator[Redis]:
    with Redis.from_url(server_url, protocol=2) as redis:
        redis.flushall()
        yield redis
        assert redis.dbsize() == 0


def test_no_interleaving_breaks_a_promise(blocking: Redis) -> None:
    assert list(broken_promises(blocking, range(250))) == []


@pytest.mark.soak
def test_none_of_many_interleavings_breaks_a_promise(blocking: Redis) -> None:
    assert list(broken_promises(blocking, range(1_000, 101_000))) == []


@pytest.mark.parametrize("what", MUTANTS)
def test_a_queue_with_a_fault_is_caught(blocking: Redis, what: str) -> None:
    assert list(broken_promises(blocking, range(50), MUTANTS[what]))
