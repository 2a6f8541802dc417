"""Logits of rows, and what they score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from core import files, metrics
from core.features.extract import autocast, by_length, to_device
from core.training.inputs import Inputs


@torch.no_grad()
def logits(inputs: Inputs, indices: np.ndarray) -> np.ndarray:
    """(n_rows, n_classes) fp32, in the order of `indices`; batches by length, eval mode."""
    network = inputs.network
    was_training = network.training
    network.eval()
    result = np.zeros((len(indices), network.head.out_features), dtype=np.float32)
    place = {int(index): row for row, index in enumerate(indices)}
    for batch in by_length(inputs.encoded, indices):
        tensors = to_device(inputs.batch(batch), network.device)
        with autocast(inputs.precision, network.device):
            output = inputs.run(tensors)["logits"]
        result[[place[int(index)] for index in batch]] = output.float().cpu().numpy()
    network.train(was_training)
    return result


def softmax(values: np.ndarray) -> np.ndarray:
    """Row-wise, (n_rows, n_classes), float64 inside."""
    shifted = values.astype(np.float64) - values.max(1, keepdims=True)
    exponents = np.exp(shifted)
    return exponents / exponents.sum(1, keepdims=True)


def cross_entropy(values: np.ndarray, labels: np.ndarray) -> float:
    """Mean -log softmax of the true class."""
    shifted = values.astype(np.float64) - values.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))


def judge(values: np.ndarray, labels: np.ndarray) -> metrics.Judged:
    """What the metrics need of logits (n_rows, n_classes) and labels (n_rows,)."""
    return metrics.Judged(labels=labels, predictions=values.argmax(1), probabilities=softmax(values).astype(np.float32))


def scores(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The loss and every metric of logits, by name."""
    return {"loss": cross_entropy(values, labels), **metrics.values(judge(values, labels))}


def write_predictions(path: Path, row_ids: np.ndarray, labels: np.ndarray, values: np.ndarray) -> None:
    """Parquet: row_id, label, prediction, probabilities (list of float32)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    probabilities = softmax(values).astype(np.float32)
    table = pa.table({
        "row_id": pa.array(row_ids, pa.int64()),
        "label": pa.array(labels, pa.int32()),
        "prediction": pa.array(values.argmax(1), pa.int32()),
        "probabilities": pa.array(list(probabilities), pa.list_(pa.float32())),
    })
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary)
