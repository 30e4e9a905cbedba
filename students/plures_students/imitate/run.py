"""`plures imitate`, without its terminal: train or go on, keep the best student, measure it on lives never seen."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from ..checkpoint import save_checkpoint
from ..classic import fit_classic, why_not
from ..config import StudentConfig
from ..lives import Lives, LivesError, split
from ..memory import require_memory
from ..threads import threads
from ..writing import write_json
from .histories import Histories
from .likelihood import log_probs
from .report import becoming, compare_predictions
from .resume import load_training, save_training
from .settings import ImitationSettings
from .trainer import Trainer

REPORT = "report.json"


@dataclass(frozen=True)
class Imitation:
    """What to imitate, how, and where the student goes: checkpoint, `report.json`, training state, TensorBoard logs.

    `sizes`: those of StudentConfig that are not as by default.
    """

    lives: Lives
    test: Lives | None
    out: Path
    rule: str
    settings: ImitationSettings
    resume: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)

    def run(self, on_step: Callable[[Trainer, float], None] = lambda trainer, loss: None) -> dict[str, Any]:
        """Train to the end and return the report; `on_step` is told of every step and its loss."""
        with threads(self.settings.threads):
            return self._run(on_step)

    def _run(self, on_step: Callable[[Trainer, float], None]) -> dict[str, Any]:
        trainer = self._trainer()
        self.out.mkdir(parents=True, exist_ok=True)
        if self.resume:
            load_training(self.out, trainer, self._identity())
        with SummaryWriter(self.out / "tensorboard") as writer:
            self._train(trainer, writer, on_step)
        report = self._report(trainer)
        write_json(self.out / REPORT, report)
        save_checkpoint(self.out, trainer.best, self._card(report))
        return report

    def _trainer(self) -> Trainer:
        card = self.lives.card
        if not isinstance(card.action_space, Discrete):
            raise LivesError(f"actions of the lives are {card.action_space}; students imitate Discrete ones")
        if len(self.lives) < 2:
            raise LivesError("there is one life; two are needed, since one is set aside for validation")
        if self.test is not None and self._spaces(self.test) != self._spaces(self.lives):
            raise LivesError(f"test lives have spaces {self._spaces(self.test)}, the lives {self._spaces(self.lives)}")
        config = StudentConfig(card.observation_space, card.action_space, self.rule, **self.sizes)
        train, valid = split(self.lives, 1 - self.settings.valid, self.settings.seed)
        self._require_memory(config)
        return Trainer(config, self.settings, train, valid)

    def _require_memory(self, config: StudentConfig) -> None:
        """For one step of descent: what every step of life leaves behind for the way back, in float32."""
        a_layer = 8 * config.width + 4 * config.mlp_width + 8 * config.heads * (config.key_width + config.value_width)
        floats = config.input_width + config.layers * a_layer + 4 * config.actions
        steps = max(self.settings.batch, self.settings.length)
        require_memory(4 * floats * steps, f"{steps:,} choices a step of descent", "lower --batch or --length")

    def _train(self, trainer: Trainer, writer: SummaryWriter, on_step: Callable[[Trainer, float], None]) -> None:
        while trainer.progress < 1:
            loss = trainer.advance()
            step = trainer.course.step
            writer.add_scalar("nll/train", loss, step)
            if step % self.settings.validate_every == 0 or trainer.progress == 1:
                writer.add_scalar("nll/valid", trainer.validate(), step)
                save_training(self.out, trainer, self._identity())
            on_step(trainer, loss)

    def _report(self, trainer: Trainer) -> dict[str, Any]:
        course = trainer.course
        report: dict[str, Any] = {
            "training": {
                "lives": len(trainer.histories.lives),
                "validation_lives": len(trainer.valid.lives),
                "steps": course.step,
                "seconds": round(course.seconds, 1),
                "kept_step": course.kept_step,
                "curve": [dict(zip(("step", "train_nll", "valid_nll"), entry, strict=True)) for entry in course.curve],
            }
        }
        if self.test is not None:
            report["test"] = self._measured(trainer, self.test)
            report["becoming"] = becoming(trainer.best, self.test)
        return report

    def _measured(self, trainer: Trainer, test: Lives) -> dict[str, Any]:
        actions = trainer.student.config.actions
        predictions: dict[str, NDArray[np.float64]] = {"chance": np.full((test.steps, actions), -np.log(actions))}
        left_out = why_not(self.lives)
        classic = fit_classic(self.lives) if left_out is None else None
        if classic is not None:
            predictions["classic"] = classic.log_probs(test)
        predictions["student"] = log_probs(trainer.best, Histories(test))
        measured = compare_predictions(test, predictions)
        return {**measured, "classic_parameters": classic.to_json() if classic else None, "classic_left_out": left_out}

    def _card(self, report: dict[str, Any]) -> dict[str, Any]:
        card = self.lives.card
        return {
            "teacher": {"title": card.title, "source": card.source, "licence": card.licence, "citation": card.citation},
            "seconds_per_decision": card.seconds_per_decision,
            "training": {**asdict(self.settings), "rule": self.rule, "lives_digest": digest(self.lives)},
            "measured": {name: entry for name, entry in report.items() if name != "training"},
        }

    def _identity(self) -> dict[str, Any]:
        """What the weights depend on, but for the machine."""
        settings = asdict(replace(self.settings, minutes=None, threads=1))
        return {**settings, "rule": self.rule, "sizes": dict(self.sizes), "lives": digest(self.lives)}

    @staticmethod
    def _spaces(lives: Lives) -> tuple[Any, Any]:
        return lives.card.observation_space, lives.card.action_space


def digest(lives: Lives) -> str:
    """SHA-256 (hex) of what a student can perceive of lives."""
    sha = hashlib.sha256()
    for column in (lives.offsets, lives.observation_N, lives.action_N, lives.reward_N, lives.done_N):
        sha.update(np.ascontiguousarray(column).tobytes())
    return sha.hexdigest()
