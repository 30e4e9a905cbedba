"""Language models as teachers: asked patiently, recorded answer by answer, never guessed at."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from plures_kernels.errors import InvalidArgument
from plures_students.commands import lives as lives_command
from plures_students.imitate.run import digest
from plures_students.lives import LivesError, read_lives
from plures_students.llm import GAMES, Endpoint, EndpointDown, EndpointSettings, Recording
from plures_students.llm.game import Lived
from plures_students.teachers import Bandit, DarkRoom


class Model(ThreadingHTTPServer):
    """A model that answers by `say`, after the failures that are wanted: (status, body) each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say: Callable[[str], str] = lambda question: "A"
        self.failures: deque[tuple[int, bytes]] = deque()
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        model = self.server
        assert isinstance(model, Model)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model.asked.append({**body, "authorization": self.headers.get("authorization")})
        status, data = model.failures.popleft() if model.failures else (200, _chat(model.say(_last(body))))
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        """Nothing on the terminal."""


def _last(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def _chat(text: str | None, **more: Any) -> bytes:
    usage = {"prompt_tokens": 11, "completion_tokens": 2}
    return json.dumps({"choices": [{"message": {"content": text, **more}}], "usage": usage}).encode()


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(model: Model, **more: Any) -> EndpointSettings:
    return EndpointSettings(model.url, "noise", **{"pause_s": 0.001, "tries": 3, **more})


def record(model: Model, out: Path, world: Any = None, lives: int = 3, steps: int = 4, **more: Any) -> Any:
    async def run() -> Any:
        async with Endpoint(settings(model)) as endpoint:
            return await Recording(world or Bandit(arms=2), "noise", lives, steps, out, **more).run(endpoint)

    return asyncio.run(run())


def test_a_life_is_what_was_answered(model: Model, tmp_path: Path) -> None:
    model.say = lambda question: " b.\n" if question.count("You chose") % 2 else "A"
    data = record(model, tmp_path / "lives")
    assert data.lengths.tolist() == [4, 4, 4]
    assert data.action_N.tolist() == [0, 1, 0, 1] * 3
    assert set(data.extra["prompt_tokens"]) == {11}
    assert (data.extra["seconds"] > 0).all()
    assert data.card.seconds_per_decision is not None
    assert digest(read_lives(tmp_path / "lives")) == digest(data)


def test_a_model_is_told_its_whole_life(model: Model, tmp_path: Path) -> None:
    data = record(model, tmp_path / "lives", lives=1)
    told = _last(model.asked[-1]).splitlines()
    assert told[:3] == [f"{n + 1}. You chose A and got {data.reward_N[n]:g}." for n in range(3)]


def test_a_room_is_told_in_rows_and_columns() -> None:
    game = GAMES[DarkRoom](DarkRoom(size=3, episode=2))
    told = game.messages([Lived(4, 1, 0.0, False), Lived(1, 4, 1.0, True)], 4)[-1]["content"]
    assert "1. You are in row 1, column 1. You chose up and got 0." in told
    assert "2. You are in row 0, column 1. You chose right and got 1. The round ended." in told


@pytest.mark.parametrize("answer", ["", "A or B", "I will not play", "C", "AB", "A B", "¿?"])
def test_what_is_not_one_option_is_no_action(answer: str) -> None:
    assert GAMES[Bandit](Bandit(arms=2)).action(answer) is None


def test_an_answer_that_is_no_action_is_asked_for_again_and_recorded(model: Model, tmp_path: Path) -> None:
    said = iter(["what?", "B", "A", "A", "A"])
    model.say = lambda question: next(said)
    data = record(model, tmp_path / "lives", lives=1)
    assert data.action_N.tolist() == [1, 0, 0, 0]
    assert data.extra["asks"].tolist() == [2, 1, 1, 1]
    log = [json.loads(line) for line in (tmp_path / "lives" / "answers.jsonl").read_text().splitlines()[1:]]
    assert [(entry["text"], entry["action"]) for entry in log[:2]] == [("what?", None), ("B", 1)]


def test_a_life_whose_model_refuses_ends_there(model: Model, tmp_path: Path) -> None:
    model.failures.extend([(200, _chat("B")), *[(200, _chat(None, refusal="I would rather not"))] * 3])
    data = record(model, tmp_path / "lives", lives=2, at_once=1)
    assert data.lengths.tolist() == [1, 4]
    log = [json.loads(line) for line in (tmp_path / "lives" / "answers.jsonl").read_text().splitlines()[1:5]]
    assert [entry["refused"] for entry in log] == [False, True, True, True]


def test_a_model_that_never_acts_has_no_lives(model: Model, tmp_path: Path) -> None:
    model.say = lambda question: "no"
    with pytest.raises(LivesError, match=r"no answer that is an action.*answers\.jsonl"):
        record(model, tmp_path / "lives")


@pytest.mark.parametrize(
    "failure", [(503, b"busy"), (429, b"slow down"), (200, b"<html>"), (200, b'{"choices": []}'), (200, b"[1]")]
)
def test_a_passing_failure_is_asked_again(model: Model, tmp_path: Path, failure: tuple[int, bytes]) -> None:
    model.failures.extend([failure, failure])
    assert record(model, tmp_path / "lives", lives=1, steps=1).action_N.tolist() == [0]
    assert len(model.asked) == 3


def test_a_failure_for_good_is_not_asked_again(model: Model, tmp_path: Path) -> None:
    model.failures.append((401, b"no such key"))
    with pytest.raises(EndpointDown, match="says 401: no such key"):
        record(model, tmp_path / "lives", lives=1)
    assert len(model.asked) == 1


def test_an_endpoint_that_went_down_in_mid_life_costs_nothing_twice(model: Model, tmp_path: Path) -> None:
    model.failures.extend([(200, _chat("B"))] * 5 + [(503, b"")] * 3)
    with pytest.raises(EndpointDown, match="failed 3 times, at last with _Passing: status 503"):
        record(model, tmp_path / "lives", at_once=1, lives=2)
    before = len(model.asked)
    log = tmp_path / "lives" / "answers.jsonl"
    log.write_text(log.read_text() + '{"life": 0, "st')  # whoever wrote was killed
    resumed = record(model, tmp_path / "lives", at_once=1, lives=2)
    assert resumed.lengths.tolist() == [4, 4]
    assert resumed.action_N.tolist()[:5] == [1] * 5
    answers = log.read_text().splitlines()
    assert len(answers) == 1 + 8
    assert len(model.asked) - before <= 8
    again = record(model, tmp_path / "lives", at_once=1, lives=2)
    assert digest(again) == digest(resumed)
    assert len(model.asked) - before <= 8


def test_a_folder_of_other_lives_is_not_gone_on_with(model: Model, tmp_path: Path) -> None:
    record(model, tmp_path / "lives")
    with pytest.raises(LivesError, match="record to another folder"):
        record(model, tmp_path / "lives", seed=1)


def test_no_more_is_asked_in_a_second_than_the_rate(model: Model) -> None:
    async def run() -> float:
        async with Endpoint(settings(model, rate=50.0)) as endpoint:
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*[endpoint.ask([{"role": "user", "content": "?"}]) for _ in range(6)])
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) >= 5 / 50


def test_nobody_there_is_said(tmp_path: Path, model: Model) -> None:
    gone = EndpointSettings("http://127.0.0.1:9/v1", "noise", tries=2, pause_s=0.001)

    async def run() -> None:
        async with Endpoint(gone) as endpoint:
            await endpoint.ask([])

    with pytest.raises(EndpointDown, match="failed 2 times"):
        asyncio.run(run())


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"url": "localhost"}, {"rate": 0.0}, {"tries": 0}):
        with pytest.raises(InvalidArgument):
            EndpointSettings(**{"url": "http://x/v1", "model": "m", **wrong})  # type: ignore[arg-type]


def test_the_command_records_and_sends_key_and_body(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLURES_LLM_KEY", "secret")
    words = ["record-llm", "--endpoint", model.url, "--model", "noise", "--world", "bandit", "--lives", "2"]
    words += ["--steps", "3", "--set", "world.arms=2", "--body", '{"temperature": 0.5}', "--out", str(tmp_path / "l")]
    result = CliRunner().invoke(lives_command, words)
    assert result.exit_code == 0, result.output
    assert "2 lives, 6 steps, 0 ended early" in result.output
    assert model.asked[0]["temperature"] == 0.5
    assert model.asked[0]["authorization"] == "Bearer secret"


def test_text_becomes_lives(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes(b"ex uno plures, ex uno plures")
    words = ["text", str(tmp_path / "poem.txt"), "--bytes", "10", "--out", str(tmp_path / "lives")]
    assert CliRunner().invoke(lives_command, words).exit_code == 0
    data = read_lives(tmp_path / "lives")
    assert data.lengths.tolist() == [9, 9]
    assert bytes(data.observation_N[:9].astype("u1")) == b"ex uno pl"
    assert bytes(data.action_N[:9].astype("u1")) == b"x uno plu"
