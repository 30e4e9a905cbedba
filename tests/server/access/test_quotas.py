"""How often, and how much."""

from plures_server.access.quotas import Bucket, Quota, Quotas


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_size_at_once_and_its_rate_in_the_long_run() -> None:
    clock = Clock()
    bucket = Bucket(rate=10, size=5, clock=clock)
    assert [bucket.take() for _ in range(5)] == [0.0] * 5
    given = 0
    for _ in range(1000):
        clock.now += 0.01
        given += bucket.take() == 0.0
    assert 99 <= given <= 100


def test_who_waits_as_long_as_told_gets_a_token() -> None:
    clock = Clock()
    bucket = Bucket(rate=4, size=1, clock=clock)
    assert bucket.take() == 0.0
    clock.now += (wait := bucket.take())
    assert wait == 0.25
    assert bucket.take() == 0.0


def test_a_bucket_does_not_save_more_than_its_size() -> None:
    clock = Clock()
    bucket = Bucket(rate=10, size=2, clock=clock)
    clock.now += 100
    assert [bucket.take() == 0.0 for _ in range(3)] == [True, True, False]


def test_a_tenant_without_a_quota_of_its_own_has_that_of_all() -> None:
    quotas = Quotas(Quota(agents=5), {"acme": Quota(agents=7)})
    assert (quotas.of("acme").agents, quotas.of("globex").agents, quotas.of("").agents) == (7, 5, None)
