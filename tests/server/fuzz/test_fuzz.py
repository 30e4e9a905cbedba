"""Whatever is sent, a server stays up, keeps its memory, and leaves other tenants alone."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf.message_factory import GetMessageClass
from plures_client import Client, Items
from plures_server.main import main

from .attack import METHODS, Attacker, attacks
from .messages import walk

QUOTA = "[quota]\nagents = 2000\nsnapshot_gb = 0.05\n"
SOAK = 100_000
FEW = 2_000


class Target:
    """A server under attack, one tenant that attacks, and one that is watched."""

    def __init__(self, server: Any, attacker: str, victim: str) -> None:
        self.server, self._attacker = server, attacker
        self.victim = Client(server.address, token=victim)
        self.cohort = self.victim.cohorts.start("joe", student="bandit", count=5, seed=3)
        self.cohort.act()
        self.cohort.snapshot("monday")
        self.victim.queue("work").enqueue(Items.of("bandit", [[0.5, 0.5]] * 3, steps=1, seed=0))
        self.before = self.seen()

    def attacker(self, channel: grpc.Channel) -> Attacker:
        return Attacker(channel, (("authorization", f"Bearer {self._attacker}"),))

    def seen(self) -> tuple[Any, ...]:
        """All that the watched tenant sees of its own."""
        return (
            self.victim.cohorts.list(),
            self.victim.snapshots.list(),
            self.victim.queue("work").stats(),
            str(self.cohort.lineage()),
            self.victim.pool().agents,
        )

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def check(self) -> None:
        """It is up, nothing unexpected happened in it, and the other tenant's things are as they were."""
        assert self.server.process.poll() is None
        assert self.seen() == self.before
        lines = (self.server.folder / "server.log").read_text().splitlines()
        bad = [line for line in lines if " ERROR " in line or "Traceback" in line]
        assert not bad, bad[:3]


@pytest.fixture(scope="module")
def target(launch_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "plures.toml").write_text(QUOTA)
    made = [
        CliRunner().invoke(main, ["token", "new", name, "--tokens", str(folder / "tokens")]).stdout.strip()
        for name in ("attacker", "victim")
    ]
    server = launch_server(
        "--config", str(folder / "plures.toml"), "--tokens", str(folder / "tokens"), "--memory-gb", "0.2"
    )
    target = Target(server, *made)
    yield target
    target.victim.close()


def bombard(target: Target, seed: int, count: int) -> Counter[grpc.StatusCode]:
    """Send so many calls, and say what was answered how often."""
    codes: Counter[grpc.StatusCode] = Counter()
    with grpc.insecure_channel(target.server.address) as channel:
        attacker = target.attacker(channel)
        for method, requests in islice(attacks(random.Random(seed)), count):
            codes[attacker.send(method, requests)] += 1
        assert attacker.faults == []
    return codes


def test_every_field_at_its_extremes_is_answered(target: Target) -> None:
    sent = 0
    with grpc.insecure_channel(target.server.address) as channel:
        attacker = target.attacker(channel)
        for method in METHODS:
            empty = GetMessageClass(method.input_type)()
            changed = [message.SerializeToString() for message in walk(empty)]
            # Of a stream, all of them on one call, unless the first that is refused ends it.
            one_call = method.name in ("Act", "Enqueue")
            for requests in [changed] if one_call else [[message] for message in changed]:
                attacker.send(method, requests or [b""])
            sent += len(changed)
        assert attacker.faults == []
    assert sent > 500
    target.check()


def test_messages_at_random_are_answered(target: Target) -> None:
    codes = bombard(target, seed=1, count=FEW)
    assert codes[grpc.StatusCode.OK] > FEW / 20, "some make sense"
    assert codes[grpc.StatusCode.INVALID_ARGUMENT] > FEW / 20, "and some do not"
    target.check()


@pytest.mark.soak
def test_a_hundred_thousand_messages_leave_no_memory_behind(target: Target) -> None:
    sizes = [target.resident_mb()]
    rounds = 20
    for number in range(rounds):
        bombard(target, seed=100 + number, count=SOAK // rounds)
        sizes.append(target.resident_mb())
        target.check()
    told = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"MiB resident, before and after every {SOAK // rounds:,} messages: {told}")
    # Once it is warm: what the second half adds a round.
    late = np.array(sizes[rounds // 2 :])
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    assert slope < 2.0, f"{slope:.2f} MiB more with every {SOAK // rounds:,} messages: {sizes}"


def test_headers_of_any_kind_are_answered(target: Target) -> None:
    rng = random.Random(7)
    method = next(method for method in METHODS if method.name == "GetPool")
    with grpc.insecure_channel(target.server.address) as channel:
        for _ in range(200):
            value = "".join(chr(rng.randrange(32, 127)) for _ in range(rng.choice((0, 1, 40, 2000))))
            keys = rng.sample(["authorization", "x-request-id", "traceparent", "grpc-trace", "x-any"], 3)
            metadata = tuple((key, value) for key in keys)
            code = Attacker(channel, metadata).send(method, [b""])
            assert code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED), (metadata, code)
    target.check()


def test_many_who_leave_at_once_leave_nothing_behind(target: Target) -> None:
    before = target.resident_mb()
    for _ in range(20):
        with grpc.insecure_channel(target.server.address) as channel:
            attacker = target.attacker(channel)
            calls = [
                channel.unary_stream("/plures.v1.QueueService/Results")(
                    b"\n\x0bqueues/work", metadata=attacker.metadata
                )
                for _ in range(20)
            ]
            for call in calls:
                call.cancel()
    deadline = time.monotonic() + 20
    while target.resident_mb() > before + 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    target.check()
