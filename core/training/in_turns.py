"""Let a run of a race wait at each rung while others of its experiment catch up; it goes on from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.analysis.race import RUNGS


class InTurns(TrainerCallback):
    """Ends training at the first regular checkpoint at or behind a rung, where others wait. Nothing is evaluated or
    saved that would not be without it, so that the run ends the same."""

    def __init__(self, mates_wait: Callable[[], bool]) -> None:
        self._mates_wait = mates_wait
        self._begun = 0
        self.over = False
        """Whether training ended for the others' sake."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                       **kwargs: Any) -> None:
        self._begun = state.global_step

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                **kwargs: Any) -> TrainerControl:
        step, total = state.global_step, state.max_steps
        reached = step < total and any(self._begun < rung * total <= step for rung in RUNGS)
        if reached and not control.should_training_stop and self._mates_wait():
            control.should_training_stop = self.over = True
        return control
