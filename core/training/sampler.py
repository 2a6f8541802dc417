"""Asks a language model while it is trained, and records what it says (`core.training.samples`)."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.analysis.samples import FILE, by_step
from core.training import forgetting, samples
from core.training.inputs import Inputs
from core.training.session import Session


class Sampler(TrainerCallback):
    """Asks at the start and at every evaluation (where nothing is evaluated, at every checkpoint)."""

    def __init__(self, session: Session, inputs: Inputs) -> None:
        self.session, self.inputs = session, inputs
        self.path = session.run_dir / FILE
        self.prompts = samples.prompts(session)
        self.recorded: dict[int, dict[str, Any]] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                       **kwargs: Any) -> None:
        """What an earlier attempt recorded beyond the checkpoint it goes on from will come again."""
        if state.global_step:
            self.recorded |= {step: line for step, line in by_step(self.path).items() if step <= state.global_step}
        else:
            self.record(0)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.record(state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.record(state.global_step)

    def record(self, step: int) -> None:
        """Ask, and write the file with one line more; once a step."""
        if step in self.recorded or not self.prompts:
            return
        with forgetting.whole(self.inputs) as network:
            self.recorded[step] = {"step": step, "answers": samples.answers(network, self.session, self.prompts)}
        samples.write(self.path, [self.recorded[at] for at in sorted(self.recorded)])
