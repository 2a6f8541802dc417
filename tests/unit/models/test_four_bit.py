"""4-bit layers are the same before and after an evaluation, on processors that pack them for inference and on those
that do not."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.domain.recipe import LoraSpec, Recipe
from core.models import blocks, load, methods
from core.models.network import Network
from tests import tiny

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@pytest.fixture(params=["packs", "plain"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """bitsandbytes asks once a layer whether the processor has AVX512-BF16: both answers, whatever this one has."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: request.param == "packs")
    return str(request.param)


def network(folder: Path, precision: str, *, dropout: float = 0.0) -> Network:
    """A QLoRA network whose adapters are not at their start, where half of them have no gradient."""
    torch.manual_seed(0)
    body = load.load_body(folder, weights="4bit", compute_dtype=DTYPES[precision])
    net = Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")
    methods.get("qlora").make_trainable(net, Recipe(dataset="d", base_model="m", method="qlora",
                                                    lora=LoraSpec(rank=4, dropout=dropout)))
    for name, parameter in net.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return net.train()


def batch() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {"input_ids": torch.randint(5, 60, (4, 9), generator=random),
            "attention_mask": torch.ones(4, 9, dtype=torch.long)}


def mixed(precision: str) -> Any:
    return nullcontext() if precision == "fp32" else torch.autocast("cpu", dtype=torch.bfloat16)


def gradients(net: Network, precision: str) -> dict[str, torch.Tensor]:
    net.zero_grad()
    torch.manual_seed(2)  # the adapters' dropout
    with mixed(precision):
        loss = nn.functional.cross_entropy(net(**batch())["logits"], torch.tensor([0, 1, 2, 0]))
    loss.backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.requires_grad and p.grad is not None}


@torch.no_grad()
def evaluate(net: Network, precision: str) -> torch.Tensor:
    net.eval()
    with mixed(precision):
        logits: torch.Tensor = net(**batch())["logits"]
    net.train()
    return logits


def packed(net: Network) -> list[str]:
    """Layers in the layout of inference."""
    return [name for name, p in net.named_parameters()
            if getattr(getattr(p, "quant_state", None), "packing_format_for_cpu", False)]


# without dropout, adapters are computed as one product with their layer
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["bert", "llama"])  # layers with and without a bias
def test_gradients_after_an_evaluation_are_those_before_it(family: str, precision: str, dropout: float, processor: str,
                                                           tmp_path: Path) -> None:
    net = network(tiny.FAMILIES[family](tmp_path), precision, dropout=dropout)
    before = gradients(net, precision)
    assert (len(before) == sum(p.requires_grad for p in net.parameters())
            and all(g.abs().max() > 0 for g in before.values()))
    evaluate(net, precision)
    after = gradients(net, precision)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert packed(net) == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_layer_in_eval_mode_passes_the_gradient_of_its_unpacked_weight(precision: str, processor: str,
                                                                         tmp_path: Path) -> None:
    """Against a dense copy: the weight unpacked once, before anything ran."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    body = load.load_body(tiny.llama(tmp_path), weights="4bit", compute_dtype=DTYPES[precision]).eval()
    layer = next(module for module in body.modules() if isinstance(module, Linear4bit))
    dense = dequantize_4bit(layer.weight, layer.weight.quant_state).to(DTYPES[precision])
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).to(DTYPES[precision])
    with torch.no_grad():
        assert torch.equal(layer(x), torch.nn.functional.linear(x, dense))
    x.requires_grad_(True)
    layer(x).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones(3, layer.out_features, dtype=x.dtype) @ dense)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_neither_training_nor_scoring_nor_saving_touches_what_is_frozen(family: str, precision: str, processor: str,
                                                                        tmp_path: Path) -> None:
    net = network(tiny.FAMILIES[family](tmp_path / "base"), precision)
    frozen = {name: (p.dtype, p.detach().clone()) for name, p in net.named_parameters() if not p.requires_grad}
    scales = {name: p.quant_state.absmax.clone() for name, p in net.named_parameters() if hasattr(p, "quant_state")}
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        gradients(net, precision)
        optimizer.step()
        evaluate(net, precision)
        net.body.save_pretrained(tmp_path / "adapter")  # type: ignore[operator]
    now = dict(net.named_parameters())
    assert [n for n, (kind, value) in frozen.items() if now[n].dtype != kind or not torch.equal(now[n], value)] == []
    assert ([n for n, value in scales.items() if not torch.equal(now[n].quant_state.absmax, value)] == [])  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_only_what_is_in_four_bits_is_not_in_fp32(family: str, tmp_path: Path) -> None:
    """The same for training and reading back: norms and embeddings are in fp32 whatever the layers compute in."""
    body = load.load_body(tiny.FAMILIES[family](tmp_path), weights="4bit", compute_dtype=torch.bfloat16)
    kinds = {name: p.dtype for name, p in body.named_parameters() if "norm" in name.lower() or "embed" in name}
    assert len(kinds) >= 7 and set(kinds.values()) == {torch.float32}
