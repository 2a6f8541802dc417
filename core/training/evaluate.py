"""What a network says of rows."""

from __future__ import annotations

import numpy as np
import torch

from core import metrics
from core.features.extract import Report, autocast, by_length
from core.tasks.base import Objective, Outputs, Rows
from core.training.inputs import Inputs


@torch.no_grad()
def outputs(inputs: Inputs, indices: np.ndarray, report: Report = lambda done, total: None) -> Outputs:
    """What the task keeps of each row, in the order of `indices`; batches by length, eval mode."""
    network = inputs.network
    was_training = network.training
    network.eval()
    found: Outputs = {}
    place = {int(index): row for row, index in enumerate(indices)}
    done = 0
    for rows in by_length(inputs.encoded, indices):
        batch = inputs.on_device(inputs.batch(rows))
        with autocast(inputs.precision, network.device):
            said = inputs.run(batch)
        for name, values in inputs.task.keep(said, batch["targets"]).items():
            table = found.setdefault(name, np.zeros((len(indices), *values.shape[1:]), np.float32))
            table[[place[int(index)] for index in rows]] = values.float().cpu().numpy()
        done += len(rows)
        report(done, len(indices))
    network.train(was_training)
    return found


def scores(task: Objective, kept: Outputs, rows: Rows, indices: np.ndarray) -> dict[str, float]:
    """`loss` and every metric of what was said of these rows, by name, without intervals."""
    return {"loss": task.mean_loss(kept, rows, indices), **metrics.values(task.judge(kept, rows, indices))}
