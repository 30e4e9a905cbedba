"""What the demo found, in words and tables."""

from pathlib import Path

from .become import Becoming
from .copies import Crowd
from .learned import Learned
from .report import Chapter
from .solving import ARMS, PULLS_PER_COPY, Solved


def imitated(learned: Learned, seconds: float, picture: Path) -> Chapter:
    student = next(score for score in learned.scores if score.name == "student")
    classic = next(score for score in learned.scores if score.name == "classic")
    verb = "better" if learned.gain > 0 else "worse"
    rows = [["predictor", "NLL per choice", "likelihood", "accuracy"]]
    rows += [[s.label, f"{s.nll:.4f}", f"{s.likelihood:.4f}", f"{s.accuracy:.3f}"] for s in learned.scores]
    return Chapter(
        "Imitate",
        f"The student predicts people it never saw {verb} than the classic learner: {student.nll:.4f} against "
        f"{classic.nll:.4f} nats a choice, a difference of {learned.gain:.4f} ± {learned.gain_error:.4f} over people.",
        f"Trained in {seconds:.0f} s on four fifths of the people; scored on the {learned.people} others "
        f"({learned.choices:,} choices). The classic learner is a Q-learner with forgetting and perseveration, fitted "
        "to the same people.",
        rows,
        [picture],
    )


def became(becoming: Becoming, picture: Path) -> Chapter:
    helped = int((becoming.became < becoming.fresh).sum())
    verb = "better" if becoming.gain > 0 else "worse"
    return Chapter(
        "Become someone",
        f"An agent that has lived all but the last block of a person predicts that block {verb} than a newborn: by "
        f"{becoming.gain:+.4f} ± {becoming.standard_error:.4f} nats a choice.",
        "Each held-out person's life was replayed into an agent over gRPC, which was made to press as they pressed; "
        f"its fast weights took in how that person plays. It helped with {helped} of {len(becoming.fresh)} people "
        "(orange lines). Nothing was fitted: only fast weights changed.",
        [],
        [picture],
    )


def served(crowd: Crowd, behaviour: Path) -> Chapter:
    pace = f"{crowd.person_seconds_per_decision:.3f}"
    rows = [
        ["", ""],
        ["copies", f"{crowd.copies:,}"],
        ["forked in", f"{crowd.birth_seconds * 1e3:.0f} ms"],
        ["decisions of each", f"{crowd.decisions:,}"],
        ["seconds", f"{crowd.seconds:.2f}"],
        ["decisions per second, all copies", f"{crowd.decisions_per_second:,.0f}"],
        ["Joe's own seconds per decision (median)", pace],
        ["speed-up of one copy among them", f"{crowd.speed_up_each:,.2f}×"],
        ["speed-up of all", f"{crowd.speed_up_all:,.0f}×"],
        ["fast weights in memory", f"{crowd.state_bytes / 1e6:,.0f} MB"],
    ]
    return Chapter(
        "Serve the copies",
        f"{crowd.copies:,} copies of one person made {crowd.decisions_per_second:,.0f} decisions a second together, "
        f"{crowd.speed_up_all:,.0f} times the person's own pace; each goes on learning by itself.",
        "The copies are forks of the agent that became Joe (the held-out person with most presses); they played Joe's "
        "last bandit for as many presses as Joe made. The picture compares all held-out people with newborn copies "
        "that lived their whole sessions, choosing for themselves.",
        rows,
        [behaviour],
    )


def solved(results: list[Solved], picture: Path) -> Chapter:
    best = results[-1].answer
    head = [
        "copies",
        "arms tried",
        "duels",
        "pulls",
        "seconds",
        "rate found",
        "share of best",
        "pulls/s × one",
        "× Joe",
    ]
    rows = [
        [
            f"{r.answer.copies:,}",
            f"{r.answer.entrants:,}",
            f"{r.answer.duels:,}",
            f"{r.answer.pulls:,}",
            f"{r.answer.seconds:.2f}",
            f"{r.answer.rate:.3f}",
            f"{r.answer.quality:.3f}",
            f"{r.speed_up_over_one:,.1f}",
            f"{r.speed_up_over_person:,.0f}",
        ]
        for r in results
    ]
    return Chapter(
        "Solve a problem together",
        f"{best.copies:,} copies found an arm of rate {best.rate:.3f} among {ARMS:,} (the best has "
        f"{best.best_rate:.3f}) in {best.seconds:.1f} s; one copy alone got {results[0].answer.rate:.3f}.",
        f"Each copy may make {PULLS_PER_COPY} pulls and can tell two arms apart. Successive halving hands out duels "
        "through the shared queue, each done by a fork of a copy, and pools what they saw.",
        [head, *rows],
        [picture],
    )
