"""Keep the weights of the recorded steps where they are small: a finished run can be asked as it was on its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core import files
from core.analysis import kept_steps
from core.models.network import Network
from core.training.recorder import recorded_steps


class StepKeeper(TrainerCallback):
    """Writes what trains to `steps/step-NNNNNNN.safetensors` of the run's folder at the recorded steps; nothing where
    one step's weights take more than `kept_steps.MOST_BYTES`."""

    def __init__(self, network: Network, *, run_dir: Path) -> None:
        self.network, self.run_dir = network, run_dir
        self.wanted: tuple[int, ...] = ()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
                       **kwargs: Any) -> None:
        size = sum(one.numel() * one.element_size() for one in self.network.trained_parameters().values())
        self.wanted = recorded_steps(state.max_steps)[1:] if size <= kept_steps.MOST_BYTES else ()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step not in self.wanted:
            return
        path = kept_steps.path(self.run_dir, state.global_step)
        path.parent.mkdir(exist_ok=True)
        with files.replacing(path) as temporary:
            save_file(self.network.trained_state(), temporary)
        sums = kept_steps.sums(self.run_dir) | {path.name: files.sha256(path)}
        files.write_json(path.parent / kept_steps.SUMS_FILE, sums)
