"""The peers: they do the same work, and the table says who was left out and why."""

import json
from typing import Any

import pytest
import torch
from plures_client.bench import peers as table
from torch import nn

from .conftest import bench_script

bench = bench_script("bench_peers")


def test_agents_one_by_one_live_as_all_at_once(bench, bandit_student):
    one_by_one, at_once = bench.LoopedAgents(bandit_student, 3), bench.batched(bandit_student, 3)
    for _ in range(6):
        one_by_one.step()
        at_once.step()
    assert at_once.summary().sum() > 0
    assert torch.equal(one_by_one.summary(), at_once.summary())
    assert one_by_one.bytes_an_agent == at_once.bytes_an_agent > bandit_student.config.page_floats * 4


def test_a_peer_that_does_otherwise_is_not_timed(bench, bandit_student):
    class Idle:
        bytes_an_agent = 0.0

        def step(self) -> None:
            pass

        def summary(self) -> torch.Tensor:
            return torch.full((bench.CHECKED_AGENTS, 6), -1.0)

    peer = bench.Peer("idle", lambda student, agents: Idle(), (1,))
    with pytest.raises(bench.click.ClickException, match="only 0% of the agents of idle"):
        bench.check(peer, bandit_student)


def test_the_gru_is_one_and_as_large_as_the_student(bench, bandit_student):
    weights = sum(weight.numel() for weight in bandit_student.parameters())
    policy = bench.GruAgents(bandit_student, 1).policy
    mine = sum(weight.numel() for weight in policy.parameters())
    assert 0.97 * weights < mine <= weights

    action, reward = torch.tensor([[0, 1, 1]]), torch.tensor([[0.0, 1.0, 0.0]])
    gru = nn.GRU(3, policy.cell.hidden_size, batch_first=True)
    gru.load_state_dict({f"{name}_l0": weight for name, weight in policy.cell.state_dict().items()})
    seen = torch.cat([nn.functional.one_hot(action, 2).float(), reward[..., None]], dim=-1)
    hidden = torch.zeros(1, policy.cell.hidden_size)
    for t in range(3):
        logits, hidden = policy(action[:, t], reward[:, t : t + 1], hidden)
    torch.testing.assert_close(logits, policy.head(gru(seen)[0][:, -1]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_who_cannot_take_part_says_why(bench, bandit_student):
    peer = next(peer for peer in bench.PEERS if peer.make is bench.by_fla)
    [row] = bench.measure(peer, bandit_student, 0.01, 10)
    assert (row.steps_per_second, row.note) == (None, "not run: its kernels need a CUDA device")


def test_the_client_reads_the_table(bench, bandit_student, tmp_path):
    def few(student: Any, agents: int) -> Any:
        return bench.batched(student, agents)

    rows = list(bench.measure(bench.Peer("few", few, (2, 5)), bandit_student, 0.001, 4))
    rows += [bench.Row(**row) for row in bench.vllm(tmp_path / "none")]
    bench.write_json(tmp_path / "peers.json", "peers", [bench.asdict(row) for row in rows])
    read = table.read(tmp_path / "peers.json")
    assert [(peer.name, peer.agents) for peer in read] == [("few", 2), ("few", 4), ("vLLM", None)]
    assert len(read[0].steps_per_second.samples) == bench.REPEATS
    assert read[0].steps_per_second == rows[0].steps_per_second
    assert read[2].note.startswith("not run")


def test_what_vllm_reached_is_taken_from_its_bench(bench, tmp_path):
    row = {"who": "named states", "agents": 64, "history": 1_000, "seconds": 0.004, "steps_per_second": 16_000.0}
    (tmp_path / "vllm.json").write_text(json.dumps({"rows": [row]}))
    [found] = bench.vllm(tmp_path / "vllm.json")
    assert (found["name"], found["agents"], found["p50_ms"]) == ("vLLM: named states", 64, 4.0)
    assert found["steps_per_second"].median == 16_000
    assert "1,000 tokens of history" in found["note"]
