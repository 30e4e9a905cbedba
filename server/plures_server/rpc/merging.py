"""The wire's merge request as the pool takes it."""

import numpy as np
from plures.v1 import agent_pb2 as pb

from .. import names
from ..durable.policy import durability_from
from ..errors import InvalidArgument
from ..merge import Members, MergeRequest
from .convert import ordinals_from

_FROM_NEWBORN = {
    pb.ANCESTOR_UNSPECIFIED: False,
    pb.ANCESTOR_NEAREST: False,
    pb.ANCESTOR_NEWBORN: True,
}


def merge_request(request: pb.MergeRequest) -> MergeRequest:
    if request.ancestor not in _FROM_NEWBORN:
        raise InvalidArgument(
            f"ancestor must be ANCESTOR_NEAREST, the default, or ANCESTOR_NEWBORN, not {request.ancestor}"
        )
    members = tuple(_members(members) for members in request.members)
    return MergeRequest(
        members,
        request.cohort_id,
        request.copies,
        request.seed,
        _FROM_NEWBORN[request.ancestor],
        durability_from(request.durability),
    )


def _members(members: pb.MergeMembers) -> Members:
    weights = np.array(members.weights, np.float64) if members.weights else None
    return Members(names.parse(members.cohort, "cohorts"), ordinals_from(members.ordinals), weights)
