"""`plures act`: a single step of some agents."""

import click

from .cohorts import ordinals_option
from .connect import connected
from .output import json_option, print_json, print_table


@click.command()
@click.argument("cohort")
@ordinals_option
@click.option("--observation", type=click.IntRange(0), help="What all of them see, where that is a whole number.")
@click.option("--reward", type=float, help="For their last actions.  [default: what a run gave, else 0]")
@click.option("--done", is_flag=True, help="Their last actions ended an episode.")
@click.option("--action", type=click.IntRange(0), help="What they are made to do.  [default: they choose]")
@json_option
def act(
    cohort: str,
    ordinals: range | None,
    observation: int | None,
    reward: float | None,
    done: bool,
    action: int | None,
    as_json: bool,
) -> None:
    """Step COHORT's agents once, all alike, and show what each did."""
    import numpy as np

    with connected() as client:
        handle = client.cohort(cohort)
        agents = ordinals if ordinals is not None else handle.alive().tolist()
        told = {"observation": observation, "reward": reward, "done": done or None, "action": action}
        seen = {name: np.full(len(agents), value) for name, value in told.items() if value is not None}
        result = handle.act(ordinals, want_log_probs=True, want_steps=True, **seen)
    assert result.log_probs is not None
    assert result.step is not None
    chances = np.exp(result.log_probs)
    if as_json:
        return print_json(
            {"action": result.action, "chances": chances, "step": result.step, "beyond_horizon": result.beyond_horizon}
        )
    rows = zip(agents, result.action.tolist(), chances, result.step.tolist(), strict=True)
    return print_table(
        ["agent", "action", "its chance", "steps behind it"],
        [(agent, action, float(chance[action]), step) for agent, action, chance, step in rows],
    )
