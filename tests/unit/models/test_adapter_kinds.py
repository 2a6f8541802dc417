"""Adapters that are no LoRA: each against its formula, against peft, and against what its card says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.domain.recipe import LoraSpec, Recipe
from core.models import adapters, blocks, load, methods
from core.models.network import Network, count_parameters
from core.training.trainer import parameter_groups
from tests import tiny

FAMILIES = {"bert": tiny.bert, "gpt2": tiny.gpt2, "efficientnet": tiny.efficientnet}
"""Linear layers, transformers' `Conv1D` with its turned weight, 1x1 convolutions."""
CASES = [*(("ia3", family) for family in FAMILIES), ("oft", "bert"), ("shira", "bert"), ("miss", "bert"),
         ("osf", "bert")]


def recipe(method: str, **fields: Any) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, lora=LoraSpec(rank=2, alpha=4.0), **fields)


def inputs(family: str) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    if family == "efficientnet":
        return {"pixel_values": torch.randn(2, 3, 64, 64, generator=random)}
    return {"input_ids": torch.randint(5, 60, (4, 9), generator=random),
            "attention_mask": torch.ones(4, 9, dtype=torch.long)}


def bare(family: str, folder: Path) -> Network:
    body = load.load_body(FAMILIES[family](folder))
    made = Network(body, head=nn.Identity(), stack=blocks.find_stack(body), pooling="mean").eval()
    with torch.no_grad():
        made.head = nn.Linear(made.features(**inputs(family)).shape[1], 3)
    return made


def trained(net: Network) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in net.body.named_parameters() if parameter.requires_grad)


@pytest.mark.parametrize(("method", "family"), CASES)
def test_it_starts_as_the_base_model_trains_what_is_counted_and_merges_as_peft_does(
        method: str, family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, made = bare(family, tmp_path), recipe(method)
    adapter = methods.card_of(method).adapter
    assert adapter is not None
    targets = adapter.layers(made, blocks.describe(net.body, net.stack))
    with torch.no_grad():
        base = net.features(**inputs(family))
        methods.get(method).make_trainable(net, made)
        torch.testing.assert_close(net.features(**inputs(family)), base, rtol=1e-5, atol=1e-6)
    head = sum(parameter.numel() for parameter in net.head.parameters())
    assert count_parameters(net)[0] == head + sum(adapter.parameters(made, layer) for layer in targets)
    wrapped = adapters.layers(net.body)
    assert [adapters.published_name(name) for name in wrapped] == [layer.name for layer in targets]

    steps(net, family, made)
    with torch.no_grad():
        before = net.eval().features(**inputs(family))
        assert not torch.allclose(before, base, atol=1e-5)
        own = {name: folded(adapter, layer) for name, layer in wrapped.items()}
        for name, layer in wrapped.items():
            layer.merge()
            for part, value in own[name].items():
                torch.testing.assert_close(getattr(layer.get_base_layer(), part), value, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(net.features(**inputs(family)), before, rtol=1e-3, atol=1e-4)


def folded(adapter: Any, layer: Any) -> dict[str, torch.Tensor]:
    frozen = layer.get_base_layer()
    found = {"weight": adapter.merged(layer, frozen.weight.detach().clone())}
    return found if frozen.bias is None else found | {"bias": adapter.merged_bias(layer, frozen.bias.detach().clone())}


def steps(net: Network, family: str, made: Recipe) -> None:
    """A few, under which all that trains moves, the loss falls, and what is frozen stays."""
    frozen = {name: p.detach().clone() for name, p in net.named_parameters() if not p.requires_grad}
    start = {name: p.detach().clone() for name, p in trained(net)}
    rate = 3e-2 if made.method == "ia3" else 3e-3  # each as their cards have it
    optimizer = torch.optim.AdamW(parameter_groups(net.train(), made.replace(learning_rate=rate)))
    losses = []
    for _ in range(8):
        logits = net(**inputs(family))["logits"]
        loss = nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    now = dict(net.named_parameters())
    assert losses[-1] < losses[0]
    assert [name for name, value in frozen.items() if not torch.equal(now[name], value)] == []
    assert [name for name, value in start.items() if torch.equal(now[f"body.{name}"], value)] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_body_that_was_wrapped_is_given_back_as_it_was(family: str, tmp_path: Path) -> None:
    net = bare(family, tmp_path)
    body, names = net.body, list(net.body.state_dict())
    with torch.no_grad():
        base = net.features(**inputs(family))
        for method in ("lora", "ia3", "dora") + (() if family != "bert" else ("oft", "shira", "miss", "osf")):
            wrapped = Network(body, head=net.head, stack=net.stack, pooling="mean").eval()
            methods.get(method).make_trainable(wrapped, recipe(method))
            assert adapters.layers(body)
            adapters.detach(body)
            assert list(body.state_dict()) == names
        assert torch.equal(net.features(**inputs(family)), base)


def test_layers_that_a_tuner_passes_over_in_silence_are_said(tmp_path: Path) -> None:
    """peft's OSF takes linear layers alone, and leaves transformers' `Conv1D` as it is without a word."""
    with pytest.raises(TypeError, match=r"12 of 12 target layers, such as h\.0\.attn\.c_attn, are not supported"):
        methods.get("osf").make_trainable(bare("gpt2", tmp_path), recipe("osf"))


def test_osf_leaves_the_strong_half_alone(tmp_path: Path) -> None:
    """Section 3 of the paper: gradients of U' and V'' have nothing along the frozen singular directions, so a plain
    gradient step keeps U_high' W V_high, the strong singular values on their diagonal."""
    net, made = bare("bert", tmp_path), recipe("osf")
    methods.get("osf").make_trainable(net, made)
    layer: Any = next(iter(adapters.layers(net.body).values()))
    weight = layer.get_base_layer().weight.detach()
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    half = len(s) // 2
    logits = net.train()(**inputs("bert"))["logits"]
    nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    with torch.no_grad():
        for parameter in layer.osf_svd_params["default"].values():
            parameter -= 0.1 * parameter.norm() * parameter.grad / parameter.grad.norm()
    after = methods.card_of("osf").adapter.merged(layer, weight.clone())  # type: ignore[union-attr]
    assert (after - weight).norm() > 1e-3
    torch.testing.assert_close(u[:, :half].T @ after @ v[:half].T, torch.diag(s[:half]), rtol=1e-4, atol=1e-4)


def test_osf_in_half_precision_starts_as_the_base_model(tmp_path: Path) -> None:
    """What is subtracted is held as what trains is: matrices of a language model are held in bf16."""
    net, made = bare("bert", tmp_path), recipe("osf")
    for module in net.body.modules():
        if type(module) is nn.Linear:
            module.weight.data = module.weight.data.bfloat16()
            module.bias.data = module.bias.data.bfloat16()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        base = net.features(**inputs("bert"))
        methods.get("osf").make_trainable(net, made)
        torch.testing.assert_close(net.features(**inputs("bert")), base, rtol=1e-3, atol=1e-3)
    kinds = {part.dtype for layer in adapters.layers(net.body).values()
             for part in (*layer._osf_U_low_init.buffers(), *layer.osf_svd_params.parameters())}
    assert kinds == {torch.float32}


def test_osf_is_refused_where_decomposing_takes_minutes(tmp_path: Path) -> None:
    from dataclasses import replace

    from core.models import facts

    small = facts.published("minilm")
    assert small is not None and methods.get("osf").applies_to(small) is None
    large = replace(small, blocks=tuple(replace(block, linear_layers=tuple(
        replace(layer, in_features=4096, out_features=4096) for layer in block.linear_layers))
        for block in small.blocks))
    assert "would take about 33." in str(methods.get("osf").applies_to(large))


def test_ia3_turns_keys_values_and_the_inside_of_each_mlp(tmp_path: Path) -> None:
    """Three vectors a block (section 3.3 of the paper): 64 + 64 channels of keys and values, 128 inside the MLP."""
    net = bare("bert", tmp_path)
    methods.get("ia3").make_trainable(net, recipe("ia3"))
    sizes = {name.split("layer.")[1].split(".ia3")[0]: p.numel() for name, p in trained(net)}
    width, inner = 64, net.body.config.intermediate_size
    assert sizes == {f"{i}.{name}": size for i in range(net.stack.size) for name, size in
                     (("attention.self.key", width), ("attention.self.value", width), ("output.dense", inner))}


def test_ia3_by_hand() -> None:
    """l · (x W' + b) with l = (2, 3) on outputs; (l · x) W' + b on inputs."""
    from peft import IA3Config, get_peft_model

    adapter: Any = methods.card_of("ia3").adapter
    expected = (([], [[2.0, 4.0], [9.0, 12.0]], [2.0, 3.0]), (["0"], [[2.0, 6.0], [6.0, 12.0]], [1.0, 1.0]))
    for inner, weight, bias in expected:
        layers = nn.Sequential(nn.Linear(2, 2))
        with torch.no_grad():
            layers[0].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
            layers[0].bias.fill_(1.0)
        get_peft_model(layers, IA3Config(target_modules=["0"], feedforward_modules=inner))  # type: ignore[arg-type]
        layer: Any = layers[0]
        layer.ia3_l["default"].data = torch.tensor([2.0, 3.0]).reshape(layer.ia3_l["default"].shape)
        assert torch.equal(adapter.merged(layer, layer.get_base_layer().weight.detach()), torch.tensor(weight))
        assert torch.equal(adapter.merged_bias(layer, layer.get_base_layer().bias.detach()), torch.tensor(bias))
