"""One Become stream: its chunks are lived as they come, and kept when it has ended well."""

from collections.abc import AsyncGenerator, AsyncIterator

from plures.v1 import become_pb2 as pb

from .. import names
from ..act_request import MAX_AGENTS
from ..become import Becoming
from ..engine import Engine
from ..errors import InvalidArgument
from ..life import LifeChunk
from .convert import ordinals_from, tensor_to, torch_from


async def serve(engine: Engine, requests: AsyncIterator[pb.BecomeRequest]) -> AsyncGenerator[pb.BecomeResponse, None]:
    """An answer to each chunk, and one when the agents have become what they were made to be."""
    begin = await _begin(requests)
    name, ordinals = names.parse(begin.cohort, "cohorts"), ordinals_from(begin.ordinals, most=MAX_AGENTS)
    becoming = await engine.borrow(
        lambda pool: Becoming.begin(pool, engine.steppers, name, ordinals), lambda pool, becoming: becoming.leave()
    )
    over = False
    try:
        async for request in requests:
            if request.WhichOneof("part") == "commit":
                over = True
                await engine.give_back(lambda pool: becoming.keep())
                yield pb.BecomeResponse(agent_steps=becoming.agent_steps, committed=True)
                return
            log_prob = await engine.drive(becoming.live(life_chunk(request), begin.want_log_probs))
            told = None if log_prob is None else tensor_to(log_prob)
            yield pb.BecomeResponse(agent_steps=becoming.agent_steps, log_prob=told)
        raise InvalidArgument("the stream ended without `commit`; the agents are as they were")
    finally:
        if not over:
            await engine.drive(becoming.drop())


async def _begin(requests: AsyncIterator[pb.BecomeRequest]) -> pb.BecomeBegin:
    async for request in requests:
        if request.WhichOneof("part") == "begin":
            return request.begin
        break
    raise InvalidArgument("the first message of a Become stream says whose lives follow: send `begin`")


def life_chunk(request: pb.BecomeRequest) -> LifeChunk:
    """The wire chunk as the engine takes it."""
    if request.WhichOneof("part") != "chunk":
        raise InvalidArgument(
            "a Become stream begins once; then send `chunk`s, and open another stream for other agents"
        )
    chunk = request.chunk
    return LifeChunk(
        action=torch_from(chunk.action, "action"),
        observation=torch_from(chunk.observation, "observation") if chunk.HasField("observation") else None,
        reward=torch_from(chunk.reward, "reward") if chunk.HasField("reward") else None,
        done=torch_from(chunk.done, "done") if chunk.HasField("done") else None,
        last_reward=torch_from(chunk.last_reward, "last_reward") if chunk.HasField("last_reward") else None,
        ordinals=ordinals_from(chunk.ordinals, most=MAX_AGENTS),
    )
