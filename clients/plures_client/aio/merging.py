"""Merging agents of one cohort or of several."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import uuid4

from plures.v1.agent_pb2 import ANCESTOR_NEAREST, ANCESTOR_NEWBORN, MergeMembers, MergeRequest

from .. import ordinals as wire_ordinals
from ..durability import DurabilityLike
from ..durability import encode as encode_durability
from ..errors import InvalidArgument
from ..names import full, short
from ..ordinals import OrdinalsLike
from ..whole import whole
from .wire import Wire

MembersLike: TypeAlias = Mapping[str, OrdinalsLike]


async def merge(
    wire: Wire,
    name: str,
    members: MembersLike,
    weights: Mapping[str, Sequence[float]],
    *,
    copies: int,
    seed: int,
    from_newborn: bool,
    durability: DurabilityLike,
) -> str:
    """The name of the new cohort."""
    if others := weights.keys() - members.keys():
        raise InvalidArgument(f"weights given for {', '.join(sorted(others))}, of which no agents are merged")
    request = MergeRequest(
        members=[
            MergeMembers(
                cohort=full("cohorts", cohort),
                ordinals=wire_ordinals.encode(ordinals),
                weights=[float(weight) for weight in weights.get(cohort, ())],
            )
            for cohort, ordinals in members.items()
        ],
        cohort_id=name,
        copies=whole(copies, 32, "copies"),
        seed=whole(seed, 64, "seed"),
        ancestor=ANCESTOR_NEWBORN if from_newborn else ANCESTOR_NEAREST,
        durability=encode_durability(durability),
        request_id=uuid4().hex,
    )
    return short((await wire.call(wire.to.agents.Merge, request)).cohort.name)
