"""L2-SP: the gradient of its penalty by the formula, and what it does to a whole run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from core.domain.dataset import Dataset
from core.models import methods
from core.settings import Settings
from core.training.trainer import ObserverCallback, parameter_groups, pulled
from tests.conftest import Notes
from tests.unit.training.test_execute import make, run


def test_the_gradient_of_the_penalty_is_added_to_that_of_the_loss() -> None:
    """d/dW of alpha / 2 · ‖W − W_start‖² = alpha · (W − W_start), here 0.1 · (3 − 1)."""
    weight = nn.Parameter(torch.tensor([3.0]))
    weight.grad = torch.tensor([0.5])
    without = nn.Parameter(torch.tensor([3.0]))
    trainer: Any = SimpleNamespace(recipe=SimpleNamespace(method="l2_sp"),
                                   anchors=[(weight, torch.tensor([1.0])), (without, torch.tensor([1.0]))])
    nothing: Any = None
    ObserverCallback(trainer).on_pre_optimizer_step(nothing, nothing, nothing)
    torch.testing.assert_close(weight.grad, torch.tensor([0.7]))
    assert without.grad is None and methods.card_of("l2_sp").pull == 0.1


def test_what_was_pretrained_is_pulled_and_the_new_head_decays(tmp_path: Path) -> None:
    from tests import tiny
    from tests.unit.models.test_methods import network, recipe

    net, made = network(tiny.bert(tmp_path)), recipe("l2_sp", weight_decay=0.01)
    methods.get("l2_sp").make_trainable(net, made)
    assert {id(p) for p in pulled(net, made)} == {id(p) for p in net.body.parameters()}
    assert pulled(net, made.replace(method="full")) == []
    decayed = {id(p) for group in parameter_groups(net, made) if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(net.head.weight)}


def test_a_run_ends_nearer_to_where_it_started(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                               tmp_path: Path) -> None:
    """At the same seed, steps and rates as full fine-tuning."""
    published = load_file(tiny_model / "model.safetensors")
    far = {}
    for method in ("full", "l2_sp"):
        run(make(tiny_dataset, tiny_model, method, epochs=3.0), settings, tmp_path / method, Notes())
        tuned = load_file(tmp_path / method / "artifact" / "weights.safetensors")
        far[method] = sum(float((value - published[name]).square().sum()) for name, value in tuned.items())
    assert 0 < far["l2_sp"] < 0.99 * far["full"]
