"""One Say call: what agents say is told as they say it, and kept when all have ended."""

from collections.abc import AsyncGenerator

import numpy as np
from plures.v1 import agent_pb2 as pb
from plures.v1 import tensor_pb2

from .. import names
from ..engine import Engine
from ..errors import InvalidArgument
from ..speech import Piece, SayRequest
from .convert import ordinals_from, tensor_to, typed_array

_ENDS = {"": pb.SAY_END_UNSPECIFIED, "length": pb.SAY_END_LENGTH, "stop": pb.SAY_END_STOP}


async def serve(engine: Engine, request: pb.SayRequest) -> AsyncGenerator[pb.SayResponse, None]:
    """A response for each agent and each piece of what it says."""
    wanted = say_request(request)
    saying = await engine.borrow(
        lambda pool: engine.steppers[pool.get(wanted.cohort).student.name].say(pool, wanted),
        lambda pool, saying: saying.drop(),
    )
    over = False
    try:
        while pieces := await engine.drive(saying.next_pieces()):
            for piece in pieces:
                yield _response(piece)
        over = True
        await engine.give_back(lambda pool: saying.keep())
    finally:
        if not over:
            await engine.give_back(lambda pool: saying.drop())


def say_request(request: pb.SayRequest) -> SayRequest:
    """The wire request as the engine takes it."""
    if (kind := request.WhichOneof("prompt")) is None:
        raise InvalidArgument("there is nothing to read; send text or tokens")
    tokens = typed_array(request.tokens, "tokens", tensor_pb2.DATA_TYPE_INT32, axes=1) if kind == "tokens" else ()
    return SayRequest(
        names.parse(request.cohort, "cohorts"),
        ordinals_from(request.ordinals),
        request.text if kind == "text" else None,
        tuple(map(int, tokens)),
        request.max_tokens,
        request.temperature if request.HasField("temperature") else 1.0,
        tuple(request.stop_tokens),
    )


def _response(piece: Piece) -> pb.SayResponse:
    tokens = tensor_to(np.array(piece.tokens, np.int32))
    return pb.SayResponse(ordinal=piece.ordinal, tokens=tokens, text=piece.text, end=_ENDS[piece.ended])
