"""Two tenants on one server: each sees its own, and has no more than its quota. Over encrypted channels."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from plures.v1 import agent_pb2 as ag
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures_client import Client, Items, Tls
from plures_client.errors import NotFound, ResourceExhausted

from .conftest import Pki

NewToken = Callable[[str], str]


@pytest.fixture(scope="module")
def tenant(guarded: Any, pki: Pki, new_token: NewToken) -> Iterator[Callable[[str], Client]]:
    """A client of each tenant."""
    with ExitStack() as stack:

        def client(name: str) -> Client:
            made = Client(guarded.address, token=new_token(name), tls=Tls(ca=pki.path("ca.pem")))
            return stack.enter_context(made)

        yield client


@pytest.fixture(scope="module")
def acme(tenant: Callable[[str], Client]) -> Client:
    return tenant("acme")


@pytest.fixture(scope="module")
def globex(tenant: Callable[[str], Client]) -> Client:
    return tenant("globex")


@contextmanager
def stub(server: Any, pki: Pki) -> Iterator[AgentServiceStub]:
    credentials = grpc.ssl_channel_credentials(pki.path("ca.pem").read_bytes())
    with grpc.secure_channel(server.address, credentials) as channel:
        yield AgentServiceStub(channel)


def test_a_name_is_free_for_each_tenant(acme: Client, globex: Client) -> None:
    ours = acme.cohorts.start("both", student="bandit", count=3, seed=1)
    theirs = globex.cohorts.start("both", student="bandit", count=2, seed=1)
    ours.act()
    assert (ours.describe().max_step, theirs.describe().max_step) == (1, 0)
    ours.retire()
    assert theirs.describe().alive == 2


def test_what_is_anothers_is_not_found(acme: Client, globex: Client) -> None:
    cohort = acme.cohorts.start("secret", student="bandit", count=3)
    cohort.snapshot("secret")
    acme.queue("secret").enqueue(Items.of("bandit", [[0.5, 0.5]], steps=1, seed=0))
    for name in ("secret", "acme~secret", "acme/secret"):
        for ask in (
            lambda name=name: globex.cohort(name).describe(),
            lambda name=name: globex.cohort(name).act([0]),
            lambda name=name: globex.cohort(name).fork("mine"),
            lambda name=name: globex.cohort(name).retire(),
            lambda name=name: globex.cohort(name).snapshot("mine"),
            lambda name=name: globex.cohort(name).lineage(),
            lambda name=name: globex.snapshots.restore(name, "mine"),
            lambda name=name: globex.snapshots.delete(name),
            lambda name=name: globex.queue(name).stats(),
            lambda name=name: globex.queue(name).delete(),
        ):
            with pytest.raises((NotFound, ValueError)) as refused:
                ask()
            assert name != "secret" or isinstance(refused.value, NotFound), "as if it were not there"
            assert "acme~" not in str(refused.value).replace(repr(name), "")
    assert cohort.describe().alive == 3
    assert "secret" not in {info.name for info in globex.cohorts.list()}
    assert "secret" not in {info.name for info in globex.snapshots.list()}
    assert {"secret"} <= {info.name for info in acme.snapshots.list()}
    assert "secret" not in {info.name for info in globex.queues.list()}
    assert acme.queue("secret").stats() in acme.queues.list()


def test_everything_has_the_names_that_its_tenant_gave(acme: Client) -> None:
    cohort = acme.cohorts.start("named", student="bandit", count=3)
    fork = cohort.fork("forked")
    assert (fork.describe().name, fork.describe().parent) == ("forked", "named")
    fork.snapshot("kept")
    restored = acme.snapshots.restore("kept", "back")
    assert restored.describe().parent == "forked"
    told = str(restored.lineage())
    assert "forked" in told
    assert "~" not in told
    queue = acme.queue("named")
    queue.enqueue(Items.of("bandit", [[0.5, 0.5]] * 4, steps=1, seed=0))
    queue.attach("back", keep="nothing")
    assert list(queue.stats().attached) == ["back"]
    assert next(queue.results()).cohort == "back"
    queue.detach("back")
    assert len(restored.act().action) == 3
    with pytest.raises(NotFound, match="no cohort 'nobody' is alive"):
        acme.cohort("nobody").describe()


def test_a_tenant_has_no_more_agents_than_its_quota(tenant: Callable[[str], Client]) -> None:
    small = tenant("small")
    assert (small.pool().agents, small.pool().agents_free, small.pool().tiers) == (0, 3, ())
    cohort = small.cohorts.start("joe", student="bandit", count=2)
    for ask in (
        lambda: small.cohorts.start("jane", student="bandit", count=2),
        lambda: cohort.fork("jane"),
        lambda: cohort.merge("jane", copies=2),
    ):
        with pytest.raises(ResourceExhausted, match="it has 2 of 3; retire some") as refused:
            ask()
        assert refused.value.reason == "QUOTA_EXCEEDED"
    cohort.retire([0])
    small.cohorts.start("jane", student="bandit", count=2)
    assert small.pool().agents_free == 0


def test_a_tenant_has_no_more_states_than_its_quota(tenant: Callable[[str], Client]) -> None:
    heavy = tenant("heavy")
    page = heavy.students.get("bandit").page_bytes
    most = int(0.001 * 2**30) // page
    heavy.cohorts.start("joe", student="bandit", count=most)
    with pytest.raises(ResourceExhausted, match=f"beyond the quota of tenant 'heavy': it has {most * page:,} of"):
        heavy.cohorts.start("jane", student="bandit", count=1)


def test_a_tenant_has_no_more_snapshots_than_its_quota(
    tenant: Callable[[str], Client], acme: Client, tmp_path: Path
) -> None:
    thin = tenant("thin")
    cohort = thin.cohorts.start("joe", student="bandit", count=8)
    cohort.snapshot("small")
    cohort.act()
    with pytest.raises(
        ResourceExhausted, match=r"beyond the quota of tenant 'thin': its snapshots take .*; delete some"
    ):
        cohort.snapshot("large")
    theirs = acme.cohorts.start("large", student="bandit", count=8)
    theirs.act()
    theirs.snapshot("large")
    acme.snapshots.download("large", tmp_path / "large")
    with pytest.raises(ResourceExhausted, match="delete some"):
        thin.snapshots.upload(tmp_path / "large")
    assert [info.name for info in thin.snapshots.list()] == ["small"]


def test_a_tenant_has_no_more_calls_under_way_than_its_quota(
    guarded: Any, pki: Pki, tenant: Callable[[str], Client], new_token: NewToken
) -> None:
    name = "busy"
    tenant(name).cohorts.start("joe", student="bandit", count=3)
    metadata = (("authorization", f"Bearer {new_token(name)}"),)
    with stub(guarded, pki) as agents:
        held = [_Held(agents, metadata) for _ in range(3)]
        with pytest.raises(grpc.RpcError) as refused:
            agents.GetPool(ag.GetPoolRequest(), metadata=metadata)
        assert violation(refused.value).description.startswith("streams: tenant 'busy' has 3 calls under way")
        assert tenant("other").pool().agents == 0, "others are not kept waiting"
        held.pop().end()
        agents.GetPool(ag.GetPoolRequest(), metadata=metadata)
        for one in held:
            one.end()


class _Held:
    """An Act stream that was answered once, and stays open."""

    def __init__(self, agents: AgentServiceStub, metadata: Any) -> None:
        self._requests: Queue[ag.ActRequest | None] = Queue()
        self._requests.put(ag.ActRequest(cohort="cohorts/joe"))
        self._call = agents.Act(iter(self._requests.get, None), metadata=metadata)
        next(self._call)

    def end(self) -> None:
        self._requests.put(None)
        list(self._call)


def test_who_asks_too_often_is_told_when_to_come_back(
    guarded: Any, pki: Pki, tenant: Callable[[str], Client], new_token: NewToken
) -> None:
    tenant("slow").cohorts.start("joe", student="bandit", count=1)
    metadata = (("authorization", f"Bearer {new_token('slow')}"),)
    with stub(guarded, pki) as agents:
        with pytest.raises(grpc.RpcError) as refused:
            [agents.GetPool(ag.GetPoolRequest(), metadata=metadata) for _ in range(20)]
        status = rpc_status.from_call(refused.value)
        assert status is not None
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 0.5
        assert violation(refused.value).subject == "tenants/slow"


def test_messages_of_a_stream_are_slowed_and_none_is_lost(
    guarded: Any, pki: Pki, tenant: Callable[[str], Client], new_token: NewToken
) -> None:
    slow = tenant("slow")
    metadata = (("authorization", f"Bearer {new_token('slow')}"),)
    with stub(guarded, pki) as agents:
        time.sleep(0.6)  # so that the call itself is let in
        began = time.monotonic()
        answers = list(
            agents.Act(iter([ag.ActRequest(id=i, cohort="cohorts/joe") for i in range(4)]), metadata=metadata)
        )
        took = time.monotonic() - began
    assert [answer.id for answer in answers] == [0, 1, 2, 3]
    assert not any(answer.HasField("error") for answer in answers)
    assert took > 1.0, "four messages, two a second, one or two of which were saved"
    assert slow.address == guarded.address


def violation(error: grpc.RpcError) -> error_details_pb2.QuotaFailure.Violation:
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error)
    assert status is not None
    failure = error_details_pb2.QuotaFailure()
    assert any(detail.Unpack(failure) for detail in status.details)
    return failure.violations[0]


def test_a_cohort_that_is_logged_comes_back_as_its_tenants(
    launch_server: Callable[..., Any], tokens: Path, new_token: NewToken
) -> None:
    server = launch_server("--tokens", str(tokens))
    token = new_token("acme")
    with Client(server.address, token=token) as acme:
        cohort = acme.cohorts.start("kept", student="bandit", count=3, durability="log")
        cohort.act()
        cohort.snapshot("monday")
    server.kill()
    server.start()
    with Client(server.address, token=token) as acme, Client(server.address, token=new_token("globex")) as globex:
        assert [(info.name, info.max_step) for info in acme.cohorts.list()] == [("kept", 1)]
        assert [info.name for info in acme.snapshots.list()] == ["monday"]
        assert acme.pool().agents == 3
        assert globex.cohorts.list() == []
        assert globex.snapshots.list() == []
        assert globex.pool().agents == 0
    server.kill()
