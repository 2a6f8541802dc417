"""Each method trains exactly what it says, counted by formula."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from core.domain.device import Device
from core.domain.freeze import FreezePlan
from core.domain.model import ModelFacts
from core.domain.recipe import LoraSpec, QuantSpec, Recipe
from core.domain.targets import lora_targets
from core.errors import PatternError, RecipeError
from core.models import blocks, load, methods
from core.models.methods.base import TRAINING_KNOBS
from core.models.network import Network, count_parameters
from tests import tiny

HEAD = 64 * 3 + 3


def network(folder: Path, weights: str = "pretrained", quantization: QuantSpec | None = None) -> Network:
    body = load.load_body(folder, weights=weights, quantization=quantization)
    return Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")


def recipe(method: str, **fields: object) -> Recipe:
    return Recipe(dataset="d", base_model="m", method=method, **fields)  # type: ignore[arg-type]


def test_probe_trains_the_head_only(tmp_path: Path) -> None:
    net = network(tiny.bert(tmp_path))
    methods.get("probe").make_trainable(net, recipe("probe"))
    assert count_parameters(net)[0] == HEAD


def test_full_and_scratch_train_everything(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    for name, weights in (("full", "pretrained"), ("scratch", "fresh")):
        net = network(folder, weights)
        methods.get(name).make_trainable(net, recipe(name))
        trainable, total = count_parameters(net)
        assert trainable == total == sum(p.numel() for p in net.parameters())


def test_knobs_that_a_method_has_no_use_for_are_not_offered() -> None:
    """LP-FT has a schedule and a head of its own, gradual unfreezing and WiSE-FT the head; from scratch there is no
    solved head, and no stored statistics."""
    without = {name: set(TRAINING_KNOBS) - set(methods.card_of(name).knobs)
               for name in ("full", "lp_ft", "gradual_unfreezing", "wise_ft", "scratch")}
    assert without == {"full": set(), "lp_ft": {"head_init", "warmup_ratio"}, "wise_ft": {"head_init"},
                       "gradual_unfreezing": {"head_init"},
                       "scratch": {"head_init", "batch_norm"}}


def test_scratch_does_not_start_from_the_published_weights(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    torch.manual_seed(1)
    fresh, published = network(folder, "fresh").body, network(folder).body
    assert not torch.equal(fresh.get_input_embeddings().weight, published.get_input_embeddings().weight)


def published_in(dtype: torch.dtype, tmp_path: Path) -> Path:
    """The tiny BERT in half precision, as most models are published today."""
    from transformers import AutoModel

    folder = tiny.bert(tmp_path / "fp32")
    AutoModel.from_pretrained(folder, dtype=dtype).save_pretrained(tmp_path / "half")
    return tmp_path / "half"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", sorted(methods.REGISTRY))
def test_whatever_type_a_model_was_published_in_it_trains_in_fp32(method: str, dtype: torch.dtype,
                                                                  tmp_path: Path) -> None:
    net = network(published_in(dtype, tmp_path), methods.get(method).card.weights)
    frozen = FreezePlan(frozen=("block 0",)) if method == "partial" else FreezePlan()
    methods.get(method).make_trainable(net, recipe(method, freeze=frozen))
    kinds = {p.dtype for p in net.parameters() if p.dtype != torch.uint8}  # 4-bit weights are packed into bytes
    assert kinds == {torch.float32}


def test_fresh_weights_are_those_of_the_model_published_in_fp32(tmp_path: Path) -> None:
    drawn = []
    for folder in (published_in(torch.bfloat16, tmp_path), tmp_path / "fp32"):
        torch.manual_seed(3)
        drawn.append(network(folder, "fresh").body.state_dict())
    assert [name for name, tensor in drawn[0].items() if not torch.equal(tensor, drawn[1][name])] == []


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
@pytest.mark.parametrize("spec", ["attention", "mlp", "all-linear"])
def test_lora_counts_are_rank_times_in_plus_out(family: str, spec: str, tmp_path: Path) -> None:
    net = network(tiny.FAMILIES[family](tmp_path))
    frozen = ("embeddings", "block 0")
    targets = lora_targets(blocks.describe(net.body, net.stack), spec=spec, frozen=frozen)
    expected = sum(4 * (layer.in_features + layer.out_features) for layer in targets)
    methods.get("lora").make_trainable(net, recipe("lora", lora=LoraSpec(rank=4, targets=spec),
                                                   freeze=FreezePlan(frozen=frozen)))
    assert count_parameters(net)[0] == expected + HEAD
    assert not any("lora_" in name for name, _ in blocks.members(net.body, net.stack)[0].named_parameters())


def test_lora_leaves_the_network_unchanged_at_the_start(tmp_path: Path) -> None:
    net = network(tiny.bert(tmp_path))
    inputs = {"input_ids": torch.randint(5, 50, (2, 7)), "attention_mask": torch.ones(2, 7, dtype=torch.long)}
    before = net(**inputs)["logits"]
    methods.get("lora").make_trainable(net, recipe("lora"))
    net.train()
    assert torch.equal(net(**inputs)["logits"], before)


def test_a_target_that_matches_nothing_names_candidates(tmp_path: Path) -> None:
    net = network(tiny.bert(tmp_path))
    with pytest.raises(PatternError) as caught:
        methods.get("lora").make_trainable(net, recipe("lora", lora=LoraSpec(targets="c_attn")))
    assert "encoder.layer.N.attention.self.query" in caught.value.why


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_qlora_stores_real_four_bit_layers(kind: str, tmp_path: Path) -> None:
    import bitsandbytes as bnb

    folder = tiny.bert(tmp_path)
    net = network(folder, "4bit", QuantSpec(type=kind))
    methods.get("qlora").make_trainable(net, recipe("qlora"))
    quantised = [m for m in net.modules() if isinstance(m, bnb.nn.Linear4bit)]
    assert len(quantised) == 4 * 6
    for layer in quantised:
        weights = layer.in_features * layer.out_features
        assert layer.weight.dtype == torch.uint8 and layer.weight.quant_state.quant_type == kind
        assert layer.weight.numel() == weights / 2  # two weights a byte: a quarter of fp16
    assert not isinstance(net.head, bnb.nn.Linear4bit) and net.head.weight.requires_grad
    trainable, total = count_parameters(net)
    plain = network(folder)
    methods.get("lora").make_trainable(plain, recipe("lora"))
    assert (trainable, total) == count_parameters(plain)


def test_applicability_is_said_with_a_reason(tiny_facts: ModelFacts) -> None:
    import dataclasses

    assert all(method.applies_to(tiny_facts) is None for method in methods.REGISTRY.values())
    bare = dataclasses.replace(tiny_facts, blocks=tuple(dataclasses.replace(b, linear_layers=(),
                                                                            linear_parameters=0)
                                                        for b in tiny_facts.blocks))
    assert "no linear layers" in str(methods.get("lora").applies_to(bare))
    assert "no linear layers worth quantising" in str(methods.get("qlora").applies_to(bare))
    cpu = Device(kind="cpu", name="", memory_bytes=1, cores=1, fp32_gflops=1, bf16_gflops=1, precision="fp32",
                 versions={}, measured=0)
    assert methods.get("qlora").note(cpu) == "Saves memory, not time, on a CPU."
    with pytest.raises(RecipeError, match="no method 'magic'"):
        methods.get("magic")


def test_cards_are_complete_and_distinct() -> None:
    cards = [method.card for method in methods.REGISTRY.values()]
    assert [card.name for card in cards] == list(methods.REGISTRY)
    assert len({card.colour_index for card in cards}) == len(cards)
    assert all(card.summary.endswith(".") for card in cards)


def test_rslora_scales_by_the_root_of_the_rank(tmp_path: Path) -> None:
    """alpha / sqrt(r): 8 / sqrt(4) = 4, where LoRA has 8 / 4 = 2; the parameters are LoRA's."""
    found = {}
    for name in ("lora", "rslora"):
        net = network(tiny.bert(tmp_path / name))
        methods.get(name).make_trainable(net, recipe(name, lora=LoraSpec(rank=4, alpha=8.0)))
        layers = [module for module in net.modules() if hasattr(module, "lora_A")]
        found[name] = ({layer.scaling["default"] for layer in layers}, count_parameters(net)[0])
    assert found["lora"] == ({2.0}, found["rslora"][1]) and found["rslora"][0] == {4.0}


def test_bitfit_trains_every_bias_and_nothing_else(tmp_path: Path) -> None:
    net = network(tiny.bert(tmp_path))
    methods.get("bitfit").make_trainable(net, recipe("bitfit"))
    trained = {name for name, parameter in net.body.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in net.body.named_parameters() if name.endswith("bias")} and len(trained) > 8
    counted = sum(block.biases or 0 for block in blocks.describe(net.body, net.stack))
    assert count_parameters(net)[0] == counted + HEAD
    net.train()
    assert not any(module.training for module in net.body.modules() if not list(module.children()))


def test_bitfit_is_counted_and_named_and_needs_biases() -> None:
    import dataclasses

    from core.models import facts
    from core.planning import footprint, names

    made, minilm = recipe("bitfit"), facts.published("minilm")
    assert minilm is not None
    assert footprint.count(made, facts=minilm, n_classes=5).trainable == 384 + 6 * 4224 + 5 * 385
    assert names.frozen(made) == "all but head frozen, biases trained"
    without = dataclasses.replace(minilm, blocks=tuple(dataclasses.replace(b, biases=0) for b in minilm.blocks))
    assert methods.get("bitfit").applies_to(without) == "this model has no biases"
    uncounted = dataclasses.replace(minilm, blocks=tuple(dataclasses.replace(b, biases=None) for b in minilm.blocks))
    assert methods.get("bitfit").applies_to(uncounted) is None


def test_lora_on_mlp_leaves_attention_alone(tmp_path: Path, minilm: ModelFacts) -> None:
    import dataclasses

    net = network(tiny.bert(tmp_path))
    methods.get("lora_mlp").make_trainable(net, recipe("lora_mlp", lora=LoraSpec(rank=4)))
    trained = [name for name, parameter in net.body.named_parameters() if parameter.requires_grad]
    assert len(trained) == 4 * 2 * 2 and not any("attention" in name for name in trained)
    refused = methods.get("lora_mlp").applies_to
    flat = [dataclasses.replace(b, linear_layers=tuple(dataclasses.replace(layer, kind="mlp")
                                                       for layer in b.linear_layers)) for b in minilm.blocks]
    assert refused(minilm) is None
    assert "called attention" in str(refused(dataclasses.replace(minilm, blocks=tuple(flat))))


def test_a_model_that_is_pulled_back_needs_room_for_where_it_started(minilm: ModelFacts, cpu: Device) -> None:
    from core.planning.estimate import estimate

    full, held = (estimate(recipe(name), facts=minilm, device=cpu, n_classes=3, rows={"train": 100}, mean_length=0.0)
                  for name in ("full", "l2_sp"))
    assert held.memory.total - full.memory.total == 4 * minilm.parameters


def test_an_adapter_that_makes_weights_anew_needs_room_for_them(minilm: ModelFacts, cpu: Device) -> None:
    """SHiRA has as many parameters as LoRA, and holds each weight of the linear layers a second time."""
    from core.planning.estimate import memory

    lora, sparse = (memory(recipe(name), facts=minilm, device=cpu, n_classes=3) for name in ("lora", "shira"))
    assert sparse.adapters - lora.adapters == 4 * sum(block.linear_parameters for block in minilm.blocks)


@pytest.mark.parametrize("model", ["minilm", "smollm2", "efficientnet-lite0"])
@pytest.mark.parametrize("name", sorted(methods.REGISTRY))
def test_what_the_dial_gives_can_be_started_wherever_a_method_applies(name: str, model: str) -> None:
    from core.models import facts
    from core.planning import effort, recipes

    found = facts.published(model)
    assert found is not None
    if recipes.why_not(name, found, None, found.tasks[-1]) is None:
        made = effort.defaults(dataset="d", task=found.tasks[-1], base_model=model, method=name, facts=found)
        assert effort.problems(made, found) == []
