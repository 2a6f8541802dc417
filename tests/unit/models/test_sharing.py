"""Parts that several blocks use are found by what the forward pass computes, and are frozen with any of these
blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from core.domain import freeze
from core.domain.freeze import FreezePlan
from core.domain.recipe import Recipe
from core.models import blocks, load, sharing
from core.models.blocks import Stack
from core.models.inspect import inspect_model
from core.models.network import Network, count_parameters
from core.planning import footprint
from core.settings import Settings
from core.tasks.text_classification import TextClassification
from core.training.trainer import parameter_groups
from tests import tiny

ALL = ("block 0", "block 1", "block 2")
INPUTS = {"input_ids": torch.arange(1, 13).reshape(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}


def traced(body: nn.Module, inputs: dict[str, torch.Tensor] = INPUTS) -> sharing.Used:
    return sharing.trace(body, blocks.find_stack(body), inputs)


def parameters(used: sharing.Used, body: nn.Module) -> sharing.Used:
    """Without modules that hold none."""
    own = {name for name, _ in body.named_parameters()}
    return {name: users for name, users in used.items() if name in own}


def test_mpnets_relative_bias_is_used_by_every_block(tmp_path: Path) -> None:
    assert traced(load.load_body(tiny.mpnet(tmp_path))) == {"encoder.relative_attention_bias.weight": ALL}


def test_debertas_relative_embeddings_are_shared_and_its_convolution_is_the_first_blocks(tmp_path: Path) -> None:
    body = load.load_body(tiny.deberta(tmp_path))
    found = parameters(traced(body), body)
    shared = {name for name, users in found.items() if users == ALL}
    assert shared == {"encoder.rel_embeddings.weight", "encoder.LayerNorm.weight", "encoder.LayerNorm.bias"}
    assert {users for name, users in found.items() if name.startswith("encoder.conv.")} == {("block 0",)}


def test_a_bias_that_the_first_block_hands_on_is_used_by_all() -> None:
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    body = T5EncoderModel(T5Config(vocab_size=64, d_model=64, d_kv=16, d_ff=128, num_layers=3, num_heads=4)).eval()
    assert (parameters(traced(body), body)
            == {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": ALL})


def test_groups_of_layers_that_run_several_times_are_blocks(tmp_path: Path) -> None:
    from transformers import AlbertConfig, AlbertModel

    torch.manual_seed(0)
    body = AlbertModel(AlbertConfig(vocab_size=64, hidden_size=64, embedding_size=32, num_hidden_layers=4,
                                    num_hidden_groups=2, num_attention_heads=4, intermediate_size=128),
                       add_pooling_layer=False).eval()
    stack = blocks.find_stack(body)
    found = parameters(sharing.trace(body, stack, INPUTS), body)
    assert stack.size == 2 and found == {}
    users = blocks.users_of([name for name, _ in body.named_parameters()], stack)
    assert users["encoder.embedding_hidden_mapping_in.weight"] == ("embeddings",)


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_nothing_is_shared_where_nothing_is(family: str, tmp_path: Path) -> None:
    body = load.load_body(tiny.FAMILIES[family](tmp_path))
    asked = {name: p.requires_grad for name, p in body.named_parameters()}
    assert parameters(traced(body), body) == {}
    assert ({name: p.requires_grad for name, p in body.named_parameters()}
            == asked and all(p.grad is None for p in body.parameters()))


@pytest.mark.parametrize("family", sorted(tiny.PICTURE_FAMILIES))
def test_picture_models_keep_the_blocks_they_are_registered_in(family: str, tmp_path: Path) -> None:
    body = load.load_body(tiny.PICTURE_FAMILIES[family](tmp_path))
    side = 28 if family == "dinov2" else 32
    assert parameters(traced(body, {"pixel_values": torch.zeros(2, 3, side, side)}), body) == {}


class Unusual(nn.Module):
    """Two blocks that share a scale; a norm stands between them; a second output carries the hidden states past the
    first block."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(8, 4)
        self.layers = nn.ModuleList([Reading(), Reading(), Reading()])
        self.between = nn.LayerNorm(4)
        self.scale = nn.Linear(4, 4)
        self.last = nn.LayerNorm(4)
        self.unused = nn.Linear(4, 4)
        self.start = nn.Dropout(0.5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.start(self.word(ids))
        hidden, past = self.layers[0](hidden, None, hidden)
        hidden, past = self.layers[1](self.between(hidden), self.scale, past)
        hidden, past = self.layers[2](hidden, self.scale, past)
        return self.last(hidden)


class Reading(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4, 4)

    def forward(self, hidden: torch.Tensor, scale: nn.Module | None,
                past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed = self.mix(hidden if scale is None else scale(hidden)) + past
        return mixed, mixed * 2


def test_the_pass_counts_not_the_order_of_registration() -> None:
    body = Unusual()
    found = sharing.trace(body, Stack(tuple(f"layers.{i}" for i in range(3))), {"ids": torch.arange(4).reshape(1, 4)})
    both = ("block 1", "block 2")
    assert found == {"between.weight": ("block 0",), "between.bias": ("block 0",), "scale.weight": both,
                     "scale.bias": both,
                     "start": ("embeddings",
                               )}, "the stream's second output makes nobody share; what is not reached stays"


def network(folder: Path, settings: Settings) -> Network:
    facts = inspect_model(str(folder), settings=settings)
    recipe = Recipe(dataset="d", base_model=str(folder), method="partial")
    return TextClassification(None, "abc").build(folder, recipe=recipe, facts=facts, weights="pretrained", dropout=0.0,
                                                 compute_dtype=torch.float32, device="cpu")


@pytest.mark.parametrize(("frozen", "trains"), [((), True), (("embeddings",), True), (("embeddings", "block 0"), False),
                                                (("block 2",), False), (("embeddings", *ALL), False)])
@pytest.mark.parametrize("family", sorted(tiny.SHARING))
def test_a_shared_part_is_frozen_with_any_block_that_uses_it_and_counted_so(family: str, frozen: tuple[str, ...],
                                                                            trains: bool,
                                                                          tmp_path: Path, settings: Settings) -> None:
    folder = tiny.SHARING[family](tmp_path / "model")
    built = network(folder, settings)
    plan = FreezePlan(frozen=frozen)
    built.freeze(plan)
    built.train()
    users = dict(built.stack.used_by)
    for name, parameter in built.body.named_parameters():
        if len(users.get(name, ())) > 1:
            assert parameter.requires_grad is trains
            assert built.body.get_submodule(name.rpartition(".")[0]).training is trains
    facts = inspect_model(str(folder), settings=settings)
    recipe = Recipe(dataset="d", base_model=str(folder), method="partial", freeze=plan)
    parts = footprint.count(recipe, facts=facts, n_classes=3)
    assert (parts.trainable, parts.total) == count_parameters(built)


def test_a_convolution_behind_the_first_block_follows_that_block(tmp_path: Path, settings: Settings) -> None:
    built = network(tiny.deberta(tmp_path / "model"), settings)
    built.freeze(FreezePlan(frozen=("embeddings", "block 0")))
    built.train()
    conv = built.body.encoder.conv
    assert not any(module.training for module in conv.modules()) and not any(p.requires_grad for p in conv.parameters())
    built.freeze(FreezePlan(frozen=("block 2",)))
    assert all(module.training for module in conv.modules()) and all(p.requires_grad for p in conv.parameters())


def test_shared_parts_learn_at_the_rate_of_the_lowest_block(tmp_path: Path, settings: Settings) -> None:
    built = network(tiny.mpnet(tmp_path / "model"), settings)
    plan = FreezePlan(layer_decay=0.5)
    built.freeze(plan)
    recipe = Recipe(dataset="d", base_model="m", method="partial", freeze=plan, learning_rate=1.0)
    rates = {id(p): group["lr"] for group in parameter_groups(built, recipe) for p in group["params"]}
    assert rates[id(built.body.encoder.relative_attention_bias.weight)] == 0.25
    assert rates[id(built.body.encoder.layer[2].attention.attn.q.weight)] == 1.0


def test_lower_half_freezes_what_its_blocks_use(tmp_path: Path, settings: Settings) -> None:
    facts = inspect_model(str(tiny.mpnet(tmp_path / "model")), settings=settings)
    plan = freeze.lower_half(facts.block_names)
    assert (footprint.open_parameters(facts, plan)
            == sum(b.parameters for b in facts.blocks if b.name in ("block 1", "block 2")))
    shared = sum(part.parameters for part in facts.shared or ())
    assert shared == 32 * 4 and footprint.open_parameters(facts, FreezePlan()) == facts.parameters
