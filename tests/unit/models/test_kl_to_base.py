"""LoRA held to what the base model says: that is the untouched model, and the penalty counts while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from core.models import adapters, methods
from core.models.language import LanguageNetwork, load_language
from tests import tiny
from tests.unit.models.test_language import DTYPES, inputs, labels_of, mean_loss, take_steps, trainable

BETA = methods.card_of("kl_to_base").to_base
ROUNDED = {"fp32": 1e-5, "bf16": 2e-2}


@pytest.fixture(scope="module", params=["llama", "gpt2", "phi"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tied and untied output layers, linear layers and GPT-2's own."""
    return tiny.language(request.param, tmp_path_factory.mktemp("held") / request.param)


def under(precision: str) -> Any:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def stepped(folder: Path, precision: str, **changes: Any) -> LanguageNetwork:
    network = trainable(folder, "kl_to_base", dtype=DTYPES[precision], **changes)
    take_steps(network, dtype=DTYPES[precision], steps=3)
    return network.train()  # type: ignore[return-value]


@pytest.mark.parametrize("precision", DTYPES)
def test_with_adapters_off_it_is_the_untouched_model(folder: Path, precision: str) -> None:
    network, tensors = stepped(folder, precision), inputs()
    untouched = load_language(folder, compute_dtype=DTYPES[precision], reads_only=True)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    with torch.no_grad(), under(precision):
        expected = untouched(**tensors)["hidden"]
        with adapters.switched_off(network.body):
            found = network(**tensors)["hidden"]
        tuned = network(**tensors)["hidden"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 if precision == "fp32" else 1e-2)
    assert (tuned - expected).abs().max() > 20 * (found - expected).abs().max()
    assert trained and {name for name, p in network.named_parameters() if p.requires_grad} == trained
    with pytest.raises(RuntimeError, match="planned"), adapters.switched_off(network.body):
        raise RuntimeError("planned")
    assert not any(layer.disable_adapters for layer in adapters.layers(network.body).values())


@pytest.mark.parametrize("precision", DTYPES)
def test_loss_and_gradients_are_those_of_the_formula(folder: Path, precision: str) -> None:
    """CE + beta · KL(base, tuned), the mean over taught tokens, of two models at once and with all their logits."""
    network, tensors = stepped(folder, precision), inputs()
    untouched = load_language(folder, reads_only=True)
    labels, own = labels_of(tensors), [p for p in network.parameters() if p.requires_grad]
    with under(precision):
        found = mean_loss(network, tensors)
    ours = torch.autograd.grad(found, own)
    with under(precision):
        tuned = network.logits(network(**tensors)["hidden"])[:, :-1].float().log_softmax(-1)
        with torch.no_grad():
            base = untouched.logits(untouched(**tensors)["hidden"])[:, :-1].float().log_softmax(-1)
    taught = labels[:, 1:] != -100
    task = cross_entropy(tuned[taught], labels[:, 1:][taught])
    penalty = kl_div(tuned[taught], base[taught], log_target=True, reduction="batchmean")
    assert penalty.item() > 1e-3
    torch.testing.assert_close(found, task + BETA * penalty, rtol=ROUNDED[precision], atol=ROUNDED[precision])
    theirs = torch.autograd.grad(task + BETA * penalty, own)
    off = sum(float((mine - reference).square().sum()) for mine, reference in zip(ours, theirs, strict=True))
    size = sum(float(reference.square().sum()) for reference in theirs)
    assert off < (1e-8 if precision == "fp32" else 1e-3) * size


def test_what_is_judged_is_the_loss_of_the_task(folder: Path) -> None:
    network = stepped(folder, "fp32")
    held = mean_loss(network, inputs())
    network.held_to_base = 0.0
    alone = mean_loss(network, inputs())
    assert held.item() > alone.item() + 1e-4
    network.held_to_base = BETA
    with torch.no_grad():
        assert torch.equal(mean_loss(network, inputs()), alone.detach())
    network.eval()
    torch.testing.assert_close(mean_loss(network, inputs()), alone)


def test_the_more_it_is_held_the_nearer_it_stays(folder: Path) -> None:
    """KL after twelve steps on the same rows."""
    far = {}
    for strength in (0.0, 1.0, 10.0):
        network = trainable(folder, "kl_to_base")
        network.held_to_base = strength
        take_steps(network, steps=12)
        network.held_to_base = 1.0
        network.train()
        tensors = inputs()
        held = mean_loss(network, tensors).item()
        with torch.no_grad():
            far[strength] = held - mean_loss(network, tensors).item()
    assert 0 < far[10.0] < 0.8 * far[1.0] and far[1.0] < 0.98 * far[0.0]


def test_recomputing_activations_changes_no_gradient(folder: Path) -> None:
    """The pass with adapters off is over before the backward pass computes blocks again, adapters on."""
    network, grads = stepped(folder, "fp32"), []
    own = [p for p in network.parameters() if p.requires_grad]
    for recompute in (False, True):
        if recompute:
            network.body.gradient_checkpointing_enable(  # type: ignore[operator]
                gradient_checkpointing_kwargs={"use_reentrant": False})
            network.keep_in_eval([])
        network.train()
        grads.append(torch.autograd.grad(mean_loss(network, inputs()), own))
    for mine, reference in zip(*grads, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-7)
