"""Many members beside one teacher's lives.

Shapes: L lives, M members, N rows, A actions.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from plures_kernels.errors import InvalidArgument

from ..imitate.likelihood import nll
from ..lives import Lives, LivesError
from ..teachers.learner import Real
from .members import Fitted, Member
from .misfit import misfit, p_value
from .shares import mass, paired, shares

ALARM = 0.05


def identify(
    members: Mapping[str, Member],
    train: Lives,
    test: Lives,
    work: Path,
    on_step: Callable[[str, float], None] = lambda name, progress: None,
) -> dict[str, Any]:
    """Fit members to `train` and rank them by how they foresee the lives of `test`.

    A choice is foreseen from the whole life before it. Students go to `work`. LivesError: the two have other spaces.
    InvalidArgument: a member cannot be fitted to such lives; then none has been.
    """
    if (train.card.observation_space, train.card.action_space) != (test.card.observation_space, test.card.action_space):
        raise LivesError("the test lives have other spaces than those to fit members to")
    for name, member in members.items():
        if wrong := member.why_not(train):
            raise InvalidArgument(f"member {name}: {wrong}; leave it out")
    fitted = {name: member.fit(train, work / folder(name), partial(on_step, name)) for name, member in members.items()}
    log_prob = {name: one.log_probs(test) for name, one in fitted.items()}
    loss_LM = np.stack([_by_life(test, log_prob_NA) for log_prob_NA in log_prob.values()], axis=1)
    ranked = np.argsort(loss_LM.sum(axis=0), kind="stable")
    rows = _rows(list(fitted.values()), loss_LM, test)
    names = list(members)
    return {
        "lives": {"fitted_to": len(train), "tested_on": len(test)},
        "choices": test.steps,
        "teacher": test.card.title,
        "members": [{"member": names[m], **rows[m]} for m in ranked],
        "misfit_of_best": _misfit(test, np.exp(log_prob[names[ranked[0]]])),
    }


def folder(name: str) -> str:
    """Where a member's student goes."""
    return name.replace("+", "-").replace(":", "-")


def _rows(fitted: list[Fitted], loss_LM: Real, test: Lives) -> list[dict[str, Any]]:
    behind_M, behind_2M = paired(loss_LM, test.lengths)
    share_M, share_2M = shares(-loss_LM)
    mass_M = mass(-loss_LM)
    return [
        {
            "nll": float(loss_LM[:, m].sum() / test.steps),
            "behind_best": _interval(behind_M[m], behind_2M[:, m]),
            "mass": float(mass_M[m]),
            "share": _interval(share_M[m], share_2M[:, m]),
            "parameters": one.parameters,
            "state_bytes": one.state_bytes,
            "nll_by_life": (loss_LM[:, m] / test.lengths).round(5).tolist(),
            "found": one.found,
        }
        for m, one in enumerate(fitted)
    ]


def _interval(mean: float, bounds_2: Real) -> dict[str, float]:
    return {"mean": float(mean), "low": float(bounds_2[0]), "high": float(bounds_2[1])}


def _by_life(lives: Lives, log_prob_NA: Real) -> Real:
    """Negative log-likelihood of each life, [L]."""
    summed_L: Real = np.add.reduceat(nll(log_prob_NA, lives.action_N), lives.offsets[:-1])
    return summed_L


def _misfit(test: Lives, chance_NA: Real) -> dict[str, float]:
    """In how many lives something remains that the best member does not know; ALARM of them, if it is the teacher."""
    statistic_L, degrees_L = misfit(test, chance_NA)
    alarms = float((p_value(statistic_L, degrees_L) < ALARM).mean())
    return {"degrees": float(degrees_L.mean()), "at": ALARM, "alarms": alarms}
