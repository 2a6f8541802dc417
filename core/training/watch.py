"""What a language model has forgotten at each evaluation, on a small part of the panel; and whether a checkpoint may be
kept because of it."""

from __future__ import annotations

import json

from core import files
from core.analysis.learn_forget import FILE, by_step
from core.domain import codec
from core.training import forgetting
from core.training.inputs import Inputs
from core.training.session import Session

OUT = 1000.0
"""Taken from the score of a checkpoint beyond the bound, so that any within it is better."""


class Watch:
    """Writes `forgetting.jsonl` in the run folder, a line an evaluation: {step, change (nats a token), loss}.

    With `quick` effort only where the recipe sets a bound.
    """

    def __init__(self, session: Session, inputs: Inputs) -> None:
        self.session, self.inputs = session, inputs
        self.bound = session.recipe.forgetting_bound
        self.path = session.run_dir / FILE
        reference = session.reference
        self.on = reference is not None and "small" in reference.parts
        if self.bound is not None and not self.on:
            session.observer.note("The bound on forgetting is not in force: there is no panel to measure it on.")

    def penalty(self, step: int, loss: float) -> float:
        """What the evaluation of that step loses in the choice of the checkpoint: 0 within the bound, more the further
        beyond."""
        if not self.on:
            return 0.0
        change = forgetting.now(self.session, self.inputs)
        if change is None:
            return 0.0
        known = {at: line for at, line in by_step(self.path).items() if at < step}
        known[step] = {"step": step, "change": codec.to_json(change), "loss": loss}
        text = "".join(json.dumps(known[at]) + "\n" for at in sorted(known))
        files.write_bytes(self.path, text.encode())
        return 0.0 if self.bound is None or change.value <= self.bound else OUT + change.value
