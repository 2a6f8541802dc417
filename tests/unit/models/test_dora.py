"""DoRA against the formula, against peft, and against what its card says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from core.domain.device import Device
from core.domain.model import LinearLayer, ModelFacts
from core.domain.recipe import LoraSpec, Recipe
from core.models import blocks, load, methods
from core.models.network import Network, count_parameters
from core.planning.estimate import estimate
from core.training.trainer import parameter_groups
from tests import tiny

FAMILIES = {"bert": tiny.bert, "gpt2": tiny.gpt2, "efficientnet": tiny.efficientnet}
"""Linear layers, transformers' `Conv1D` with its turned weight, 1x1 convolutions."""
DORA = methods.get("dora")
ADAPTER: Any = DORA.card.adapter


def recipe(method: str = "dora", **fields: Any) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, lora=LoraSpec(rank=2, alpha=4.0), **fields)


def network(family: str, folder: Path, method: str | None = "dora") -> Network:
    torch.manual_seed(0)
    body = load.load_body(FAMILIES[family](folder))
    made = Network(body, head=nn.Identity(), stack=blocks.find_stack(body), pooling="mean")
    with torch.no_grad():
        made.head = nn.Linear(made.features(**inputs(family)).shape[1], 3)
    if method:
        methods.get(method).make_trainable(made, recipe(method))
    return made


def inputs(family: str) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    if family == "efficientnet":
        return {"pixel_values": torch.randn(2, 3, 64, 64, generator=random)}
    return {"input_ids": torch.randint(5, 60, (4, 9), generator=random),
            "attention_mask": torch.ones(4, 9, dtype=torch.long)}


def wrapped(net: nn.Module) -> list[Any]:
    return [module for module in net.modules() if hasattr(module, "lora_magnitude_vector")]


def loss_of(net: Network, family: str) -> torch.Tensor:
    logits = net(**inputs(family))["logits"]
    return nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3)


def move(net: nn.Module) -> None:
    """Away from the start: B is not zero, lengths are not those of W."""
    torch.manual_seed(3)
    for name, parameter in net.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.05)
        elif "magnitude" in name:
            parameter.data *= 1 + 0.2 * torch.rand_like(parameter)


def small() -> tuple[Any, Any]:
    """(network, layer) of a linear layer of 2 x 2 with rank 1 and scale 1, its numbers set by hand."""
    layers = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 4.0]]))
    config = LoraConfig(r=1, lora_alpha=1, target_modules=["0"], use_dora=True)
    made = get_peft_model(layers, config)  # type: ignore[arg-type]
    layer = wrapped(made)[0]
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(torch.tensor([[1.0, 0.0]]))
        layer.lora_B["default"].weight.copy_(torch.tensor([[0.0], [3.0]]))
        layer.lora_magnitude_vector["default"].weight.copy_(torch.tensor([10.0, 4.0]))
    return made, layer


def test_the_formula_on_four_numbers() -> None:
    """W' = m · (W0 + BA) / ‖W0 + BA‖: W0 + BA = [[3, 4], [3, 4]], both rows of length 5; m = (10, 4)."""
    made, layer = small()
    expected = torch.tensor([[6.0, 8.0], [2.4, 3.2]])
    found = ADAPTER.merged(layer, layer.get_base_layer().weight)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(made(torch.tensor([[1.0, 1.0]])), torch.tensor([[14.0, 5.6]]))


def test_the_length_is_a_constant_in_the_gradient() -> None:
    """Section 4.3 of the paper: dL/dm = (V x) / ‖V‖, and B's gradient does not pass through ‖V‖."""
    made, layer = small()
    made(torch.tensor([[1.0, 1.0]])).sum().backward()
    torch.testing.assert_close(layer.lora_magnitude_vector["default"].weight.grad, torch.tensor([1.4, 1.4]))  # 7 / 5
    torch.testing.assert_close(layer.lora_B["default"].weight.grad, torch.tensor([[2.0], [0.8]]))  # m / 5 times A x = 1


@pytest.mark.parametrize("family", FAMILIES)
def test_it_starts_as_the_base_model(family: str, tmp_path: Path) -> None:
    with torch.no_grad():
        base = network(family, tmp_path, None).eval().features(**inputs(family))
        start = network(family, tmp_path).eval().features(**inputs(family))
    torch.testing.assert_close(start, base, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_loras_parameters_and_one_an_output(family: str, tmp_path: Path) -> None:
    plain, net = network(family, tmp_path, "lora"), network(family, tmp_path)
    outputs = sum(getattr(layer, "out_features", None) or layer.out_channels for layer in wrapped(net))
    assert outputs > 0 and count_parameters(net)[0] == count_parameters(plain)[0] + outputs
    layer = LinearLayer(name="x", kind="mlp", in_features=384, out_features=1536)
    assert ADAPTER.parameters(recipe(), layer) == 2 * (384 + 1536) + 1536


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_gradients_are_pefts(family: str, tmp_path: Path) -> None:
    """The one-product forward of LoRA must not stand in for it: it would drop the lengths."""
    ours = network(family, tmp_path)
    assert [module for module in ours.modules() if "forward" in vars(module)] == []
    theirs = network(family, tmp_path, None)
    for parameter in theirs.body.parameters():
        parameter.requires_grad_(False)
    targets = [layer.name for block in blocks.describe(theirs.body, theirs.stack) for layer in block.linear_layers]
    config = LoraConfig(r=2, lora_alpha=4, target_modules=targets, use_dora=True)
    theirs.body = get_peft_model(theirs.body, config)  # type: ignore[arg-type]
    move(ours)
    theirs.load_state_dict(ours.state_dict())
    found = []
    for net in (ours, theirs):
        loss = loss_of(net.eval(), family)
        loss.backward()
        gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
        found.append(gradients | {"loss": loss.detach()})
    assert found[0].keys() == found[1].keys() and len(found[0]) == 3 * len(wrapped(ours)) + 3
    assert [name for name, value in found[0].items() if not torch.equal(value, found[1][name])] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_weights_are_pefts_and_compute_the_same(family: str, tmp_path: Path) -> None:
    net = network(family, tmp_path).eval()
    move(net)
    with torch.no_grad():
        before = net.features(**inputs(family))
        own = [ADAPTER.merged(layer, layer.get_base_layer().weight.clone()) for layer in wrapped(net)]
        for layer, weight in zip(wrapped(net), own, strict=True):
            layer.merge()
            torch.testing.assert_close(layer.get_base_layer().weight, weight, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(net.features(**inputs(family)), before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_and_leaves_what_is_frozen(family: str, precision: str, tmp_path: Path) -> None:
    net = network(family, tmp_path).train()
    frozen = {name: p.detach().clone() for name, p in net.named_parameters() if not p.requires_grad}
    start = {name: p.detach().clone() for name, p in net.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(parameter_groups(net, recipe(learning_rate=1e-2, head_learning_rate=1e-3)))
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(net, family)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    now = dict(net.named_parameters())
    assert [name for name, value in frozen.items() if not torch.equal(now[name], value)] == []
    assert [name for name, value in start.items() if torch.equal(now[name], value)] == [], "every length, A and B moves"


def test_the_estimate_counts_lengths_and_what_peft_keeps(minilm: ModelFacts, cpu: Device) -> None:
    found, plain = (
        estimate(recipe(method), facts=minilm, device=cpu, n_classes=3, rows={"train": 100}, mean_length=0.0)
        for method in ("dora", "lora"))
    outputs = 6 * (4 * 384 + 1536 + 384)
    assert found.trainable_params == plain.trainable_params + outputs
    assert found.memory.adapters == plain.memory.adapters + 4 * outputs
    assert found.memory.activations == pytest.approx(2.4 * plain.memory.activations, rel=0.01)  # and the mask
    assert found.memory.weights == plain.memory.weights and found.seconds > plain.seconds


def test_what_lora_was_refused_for_it_is_refused_for(minilm: ModelFacts) -> None:
    """Facts of an earlier version say nothing of DoRA."""
    assert DORA.applies_to(minilm) is None
    assert DORA.applies_to(replace(minilm, refusals={"lora": "adapters do not fit"})) == "adapters do not fit"
    assert DORA.applies_to(replace(minilm, refusals={"dora": "no"})) == "no"
