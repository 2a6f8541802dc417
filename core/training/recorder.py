"""Record features while training: the same few rows at the start, at about six log-spaced steps, and at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.analysis.feature_files import BlockFeatures
from core.analysis.sample import probe_sample
from core.training.inputs import Inputs, computed_blocks

POINTS = 7
"""Steps recorded after the start, the last one included."""


def recorded_steps(total: int) -> tuple[int, ...]:
    """0, about six log-spaced steps, and `total`: training moves most at its beginning."""
    if total < 1:
        return (0,)
    return tuple(sorted({0, *np.unique(np.round(np.geomspace(1, total, min(POINTS, total)))).astype(int).tolist()}))


class FeatureRecorder(TrainerCallback):
    """Writes `features/step-NNNNNNN.safetensors` in the run folder at the recorded steps."""

    def __init__(self, inputs: Inputs, *, rows: int, folder: Path) -> None:
        self.inputs = inputs
        self.sample = probe_sample(inputs.rows.labels, inputs.rows.splits, rows=rows)
        self.folder = folder
        if before := sorted(folder.glob("step-*.safetensors")):  # a run that goes on keeps the rows that it began with
            place = {int(row): index for index, row in enumerate(inputs.rows.row_ids)}
            self.sample = np.array([place[int(row)] for row in BlockFeatures.load(before[0]).row_ids], np.int64)
        self.row_ids = inputs.rows.row_ids[self.sample]
        self.wanted: tuple[int, ...] = ()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                       **kwargs: Any) -> None:
        self.wanted = recorded_steps(state.max_steps)
        if state.global_step == 0:
            self.record(0)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step in self.wanted:
            self.record(state.global_step)

    def record(self, step: int) -> None:
        """Features of the sample now; random state and train mode are left as they were."""
        network = self.inputs.network
        was_training, state = network.training, torch.get_rng_state()
        blocks = computed_blocks(self.inputs, self.sample)
        network.train(was_training)
        torch.set_rng_state(state)
        BlockFeatures(row_ids=self.row_ids, blocks=blocks, step=step).save(self.folder / f"step-{step:07d}.safetensors")
