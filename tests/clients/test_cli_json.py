"""`--json` is everywhere, and what it prints is JSON and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from plures_client import Client, Items
from plures_client.cli import main

WITHOUT = {"completion": "prints a script for a shell", "demo": "is a show; what it found is in figures.json"}


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, by what one types."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), command


def test_every_command_prints_json_when_asked() -> None:
    found = dict(commands(main))
    without = [name for name, one in found.items() if not any("--json" in option.opts for option in one.params)]
    assert without == sorted(WITHOUT)
    assert len(found) > 40


@pytest.fixture
def said(server: Any) -> Any:
    """What a command said, as it was parsed: one document, or a list of one a line."""

    def run(line: str) -> Any:
        done = CliRunner().invoke(main, ["--server", server.address, *line.split(), "--json"])
        assert done.exit_code == 0, (line, done.stderr or done.exception)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return [json.loads(one) for one in done.stdout.splitlines()]

    return run


def test_agents_are_spoken_of_in_json(said: Any, name: str, tmp_path: Path) -> None:
    assert said(f"start {name} --student bandit --count 4")[0]["count"] == 4
    assert said(f"act {name}")["step"] == [1] * 4
    assert said(f"run {name} bandit --param p_0=1 --param p_1=0 --steps 2")["agent_steps"] == 8
    assert said(f"fork {name} {name}-f")[0]["parent"] == name
    assert said(f"merge {name}-m {name} {name}-f")[0]["count"] == 1
    assert said(f"lineage {name}-f")
    assert said(f"snapshot {name} {name}")["agents"] == 4
    assert said(f"snapshots download {name} {tmp_path / name}")
    assert said(f"snapshots upload {tmp_path / name} {name}-up")[0]["agents"] == 4
    assert {one["name"] for one in said("snapshots list")} >= {name, f"{name}-up"}
    assert said(f"restore {name} {name}-r")[0]["alive"] == 4
    for snapshot in (name, f"{name}-up"):
        assert said(f"snapshots delete {snapshot}")
    assert {one["name"] for one in said("cohorts list")} >= {name, f"{name}-f", f"{name}-m", f"{name}-r"}
    assert [said(f"retire {name}{end}")["retired"] for end in ("", "-f", "-m", "-r")] == [4, 4, 1, 4]
    for listing in ("students", "tasks", "pool", "watch --times 1"):
        assert said(listing)


def test_queues_are_spoken_of_in_json(said: Any, client: Client, name: str) -> None:
    for submission, count in (("one", 3), ("two", 2)):
        items = Items.of("bandit", [[0.5, 0.5]] * count, steps=1, seed=0)
        client.queue(name).enqueue(items, submit_id=submission)
    assert said(f"queue stats {name}")["ready"] == 5
    assert said(f"queue pause {name}") == {"paused": name}
    assert said(f"queue resume {name}") == {"resumed": name}
    assert said(f"queue cancel {name} --submission two") == {"cancelled": 2}
    assert said(f"queue cancel {name}") == {"cancelled": 3}
    assert said(f"queue requeue {name}") == {"requeued": 0}
    assert said(f"queue dead {name}") == []
    assert said(f"queue results {name}") == []
    assert name in [queue["name"] for queue in said("queue list")]
    assert said(f"queue delete {name}") == {"deleted": name}


def test_lives_are_spoken_of_in_json(said: Any, tmp_path: Path) -> None:
    everyone, first, second = (tmp_path / part for part in ("all", "first", "second"))
    asked = f"lives record --world bandit --learner q_learner --lives 4 --steps 5 --out {everyone}"
    assert (said(asked)["lives"], said(f"lives describe {everyone}")["lives"]) == (4, 4)
    parts = said(f"lives split {everyone} --share 0.5 --out {first} {second}")
    assert [(part["out"], part["lives"]) for part in parts] == [(str(first), 2), (str(second), 2)]
    (tmp_path / "words").write_text("the quick brown fox " * 4)
    assert said(f"lives text {tmp_path / 'words'} --bytes 40 --out {tmp_path / 'text'}")["lives"] == 2


def test_tokens_are_spoken_of_in_json(said: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    made = said(f"serve token new acme --tokens {file}")
    assert made["tenant"] == "acme"
    assert said(f"serve token list --tokens {file}") == [{"tenant": "acme", "id": made["id"]}]
    assert said(f"serve token revoke {made['id']} --tokens {file}") == {"revoked": made["id"]}
    assert said(f"serve token list --tokens {file}") == []
