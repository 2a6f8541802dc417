"""Rows of one class pulled together: the loss of a batch by its parts, and what it does to a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data import library
from core.domain.dataset import Content, Dataset, Task
from core.models import methods
from core.models.contrast import contrastive
from core.planning import recipes
from core.settings import Settings
from core.tasks.text_classification import TextClassification
from core.training.session import read_rows
from tests import tiny
from tests.conftest import WORKSPACE, Notes
from tests.unit.models.test_methods import network, recipe
from tests.unit.training.test_execute import make, run


def test_a_batch_costs_a_tenth_of_its_cross_entropy_and_nine_tenths_of_the_contrast(tmp_path: Path) -> None:
    net = network(tiny.bert(tmp_path))
    methods.get("contrastive").make_trainable(net, recipe("contrastive"))
    inputs = {"input_ids": torch.arange(24).reshape(4, 6) + 5, "attention_mask": torch.ones(4, 6, dtype=torch.long)}
    targets = {"labels": torch.tensor([0, 1, 0, 2])}
    net.train()
    objective: Any = None
    said = net(**inputs)
    plain = torch.nn.functional.cross_entropy(said["logits"], targets["labels"])
    together = contrastive(said["features"], targets["labels"])
    torch.testing.assert_close(TextClassification.loss(objective, said, targets), 0.1 * plain + 0.9 * together)
    with torch.no_grad():
        assert set(net(**inputs)) == {"logits"}, "what is validated is without it"
    net.eval()
    assert set(net(**inputs)) == {"logits"}


def test_rows_without_classes_are_refused_with_the_reason() -> None:
    language = Task.on(Content.TEXT, labelled=False)
    assert recipes.why_not("contrastive", None, None, language) == methods.NO_CLASSES
    for content in (Content.TEXT, Content.PICTURE):
        assert recipes.why_not("contrastive", None, None, Task.on(content)) is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_ends_with_its_classes_nearer_together_than_full_fine_tuning(
        precision: str, settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    """At the same seed, steps and rates."""
    from core.domain.side import Side
    from core.training import artifact, known_rows

    dataset = library.load(tiny_dataset.id, settings=settings, workspace=WORKSPACE)
    rows = read_rows(dataset, settings=settings, workspace=WORKSPACE)
    places = rows.of("train")
    found = {}
    for method in ("full", "contrastive"):
        run(make(tiny_dataset, tiny_model, method, epochs=6.0, precision=precision, learning_rate=1e-3), settings,
            tmp_path / method, Notes())
        model = artifact.load(Side.of(tmp_path / method), settings=settings)
        features = known_rows.features(model, [rows.content[at] for at in places])
        found[method] = float(contrastive(torch.from_numpy(np.asarray(features)),
                                          torch.from_numpy(rows.labels[places].astype(np.int64))))
    assert found["contrastive"] < 0.9 * found["full"]
