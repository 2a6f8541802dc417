"""A trained change turned up and down: 0 is the base model and 1 the tuned one to the last bit, between them a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.analysis import strength_files
from core.domain import codec
from core.domain.dataset import Dataset, Task
from core.domain.freeze import FreezePlan
from core.domain.model import Weights
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side, Which
from core.domain.strength import Dial, HeadRule, Turn
from core.errors import NotFoundError, RecipeError
from core.models import methods
from core.settings import Settings
from core.training import artifact
from core.training.execute import execute
from core.training.strength import mixed
from tests import tiny, turns
from tests.conftest import WORKSPACE, Notes, write_language_dataset, write_picture_dataset

TEXTS = ["goal match team the year", "bank market share of profit and growth", "n1 chip phone"]
LOWER = FreezePlan(frozen=("embeddings", "block 0", "block 1"))
TURNED = [(name, precision) for name in methods.REGISTRY if name != "scratch" for precision in ("fp32", "bf16")
          if (precision == "fp32" or methods.card_of(name).everyday) and not methods.card_of(name).own_head_only]


def trained(dataset: Dataset, model: Path, settings: Settings, folder: Path, **fields: Any) -> Path:
    values: dict[str, Any] = {"epochs": 1.0, "batch_size": 8, "learning_rate": 5e-3, "max_length": 32, "seed": 0,
                              "precision": "fp32", "lora": LoraSpec(rank=4), "task": dataset.task}
    recipe = Recipe(dataset=dataset.id, base_model=str(model), **(values | fields))
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=Notes())
    return folder


def said(side: Side, settings: Settings, content: list[str] = TEXTS) -> dict[str, np.ndarray]:
    return artifact.load(side, settings=settings).outputs(content)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def base_of(folder: Path, settings: Settings, method: str, content: list[str] = TEXTS) -> dict[str, np.ndarray]:
    """The model that the run started from; published, or in 4 bits where it trained beside such weights."""
    four_bit = methods.REGISTRY[method].card.weights is Weights.FOUR_BIT
    return said(Side.of(folder, Which.FOUR_BIT if four_bit else Which.BASE), settings, content)


def check_ends(folder: Path, settings: Settings, method: str, content: list[str] = TEXTS) -> None:
    dial = Side.of(folder)
    tuned, base = said(dial, settings, content), base_of(folder, settings, method, content)
    assert same(said(replace(dial, strength=0.0), settings, content), base)
    assert same(said(replace(dial, strength=1.0), settings, content), tuned)
    between = said(replace(dial, strength=0.5), settings, content)
    if not methods.REGISTRY[method].card.solved:
        assert not same(tuned, base) and not same(between, tuned) and not same(between, base)
    # the dials of one network, turned away and back
    model = artifact.load(replace(dial, strength=-0.5), settings=settings)
    network = artifact.load(Side.of(folder, Which.FINAL), settings=settings)
    dials = strength_dials(folder, settings)
    for turn, wanted in ((Turn(strength=-0.5), model.outputs(content)), (Turn(strength=0.0), base), (Turn(), tuned),
                         (Turn(strength=0.5), between)):
        dials.turn(turn)
        assert same(replace(network, network=dials.network).outputs(content), wanted), turn


def strength_dials(folder: Path, settings: Settings) -> Any:
    return artifact.dials(Side.of(folder), settings=settings)[1]


@pytest.mark.parametrize(("method", "precision"), turns.part(TURNED, every=3))
def test_zero_is_the_base_model_and_one_the_tuned_one_to_the_last_bit(
        method: str, precision: str, settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
        tmp_path: Path) -> None:
    more = {"freeze": LOWER} if method == "partial" else {}
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method=method, precision=precision, **more)
    check_ends(folder, settings, method)


@pytest.mark.parametrize(("family", "method"), [("gpt2", "lora"), ("mpnet", "full"), ("distilbert", "dora"),
                                               ("gpt2", "ia3")])
def test_the_same_for_other_families(family: str, method: str, settings: Settings, tiny_dataset: Dataset,
                                     tmp_path: Path) -> None:
    model = {**tiny.FAMILIES, **tiny.SHARING}[family](tmp_path / family)
    folder = trained(tiny_dataset, model, settings, tmp_path / "run", method=method)
    check_ends(folder, settings, method)


@pytest.mark.parametrize(("family", "method", "norm"), [("resnet", "full", "batch"), ("vit", "lora", "stored"),
                                                        ("efficientnet", "lora", "stored")])
def test_the_same_for_pictures(family: str, method: str, norm: str, settings: Settings, tmp_path: Path) -> None:
    """Running statistics, which training with `batch` moves, are part of the change."""
    dataset = write_picture_dataset(settings, n_rows=30)
    model = tiny.PICTURE_FAMILIES[family](tmp_path / family)
    folder = trained(dataset, model, settings, tmp_path / "run", method=method, batch_norm=norm)
    images = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "images"
    pictures = [str(images / f"{row}.png") for row in range(4)]
    check_ends(folder, settings, method, pictures)
    for strength in (-0.5, 1.5):
        assert all(np.isfinite(values).all()
                   for values in said(replace(Side.of(folder), strength=strength), settings, pictures).values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("family", "method"), [("llama", "full"), ("llama", "lora"), ("gpt2", "lora"),
                                                ("neox", "full"), ("llama", "qlora")])
def test_the_same_for_language_models(family: str, method: str, precision: str, settings: Settings,
                                      tmp_path: Path) -> None:
    """A tied output layer goes with the embeddings; one of its own (NeoX) from the published to the trained one."""
    dataset = write_language_dataset(settings, n_rows=20)
    model = tiny.language(family, tmp_path / family)
    folder = trained(dataset, model, settings, tmp_path / "run", method=method, precision=precision,
                     task=Task.LANGUAGE_MODELLING)
    check_ends(folder, settings, method)


def test_a_linear_model_lies_on_the_line_between(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                 tmp_path: Path) -> None:
    """With the body as it was, logits are linear in the head: its closed form."""
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="full")
    dials = strength_dials(folder, settings)
    model = replace(artifact.load(Side.of(folder), settings=settings), network=dials.network)
    found = {}
    for strength in (-0.5, 0.0, 0.25, 1.0, 1.5):
        dials.turn(Turn(strength=strength, blocks=("head",)))
        found[strength] = model.outputs(TEXTS)["logits"]
    assert np.abs(found[1.0] - found[0.0]).max() > 1e-3
    for strength, logits in found.items():
        np.testing.assert_allclose(logits, found[0.0] + strength * (found[1.0] - found[0.0]), atol=1e-5)


def test_the_interpolated_weight_is_the_closed_form(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                    tmp_path: Path) -> None:
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="full")
    states = {strength: artifact.load(replace(Side.of(folder), strength=strength), settings=settings)
              .network.state_dict() for strength in (0.0, 0.25, 1.0, 1.5)}
    moved = 0
    for name, base in states[0.0].items():
        tuned = states[1.0][name]
        moved += not torch.equal(base, tuned)
        for strength in (0.25, 1.5):
            torch.testing.assert_close(states[strength][name], base + strength * (tuned - base), atol=1e-6, rtol=1e-5)
    assert moved > 20
    assert torch.equal(mixed(torch.tensor([0.1]), torch.tensor([0.3]), 1.0), torch.tensor([0.3]))


def test_one_block_is_turned_and_the_others_stay_as_trained(settings: Settings, tiny_model: Path,
                                                            tiny_dataset: Dataset, tmp_path: Path) -> None:
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="full")
    dials = strength_dials(folder, settings)
    tuned = {name: value.clone() for name, value in dials.network.state_dict().items()}
    dials.turn(Turn(strength=0.0))
    base = {name: value.clone() for name, value in dials.network.state_dict().items()}
    dials.turn(Turn(strength=0.0, blocks=("block 2",)))
    for name, value in dials.network.state_dict().items():
        wanted = base if ".layer.2." in name else tuned
        assert torch.equal(value, wanted[name]), name
    assert dials.first_moved(Turn(strength=0.0, blocks=("block 2",))) == 3
    dials.turn(Turn(strength=0.0, head=HeadRule.FIXED))
    assert torch.equal(dials.network.state_dict()["head.weight"], tuned["head.weight"])
    with pytest.raises(RecipeError, match="no block called block 9"):
        dials.turn(Turn(strength=0.0, blocks=("block 9",)))


def test_a_truncated_update_is_the_best_of_its_rank(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                    tmp_path: Path) -> None:
    """Eckart and Young: what is left out is the norm of the singular values left out."""
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="lora", epochs=2.0)
    dials = strength_dials(folder, settings)
    assert dials.rank == 4
    layer = next(iter(dials.layers.values()))
    whole = layer.get_delta_weight("default").detach().clone()
    values = torch.linalg.svdvals(whole.double())
    for rank in (1, 2, 3):
        dials.turn(Turn(rank=rank))
        left = float((whole - layer.get_delta_weight("default").detach()).double().norm())
        assert left == pytest.approx(float(values[rank:].norm()), rel=1e-3, abs=1e-7)
    dials.turn(Turn(rank=4))
    assert torch.equal(layer.get_delta_weight("default"), whole)


def test_intruder_dimensions_are_taken_away_by_peft(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                    tmp_path: Path) -> None:
    """A planted direction that no base weight has is found and shrunk; without any share, nothing changes."""
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="lora")
    dials = strength_dials(folder, settings)
    layer = next(iter(dials.layers.values()))
    dials.turn(Turn())
    whole = layer.get_delta_weight("default").detach().clone()
    dials.turn(Turn(intruders=0.5))
    assert layer.active_adapters == ["default"] and torch.isfinite(layer.get_delta_weight("default")).all()
    dials.turn(Turn())
    assert torch.equal(layer.get_delta_weight("default"), whole)


def test_what_has_no_such_dial_is_refused_in_words(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                   tmp_path: Path) -> None:
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="scratch", head_init="random")
    with pytest.raises(RecipeError, match="cannot be turned") as error:
        artifact.load(replace(Side.of(folder), strength=0.5), settings=settings)
    assert "random weights" in error.value.why
    for strength in (-0.6, 1.6, float("nan")):
        with pytest.raises(RecipeError, match="no model at strength"):
            artifact.load(replace(Side.of(folder), strength=strength), settings=settings)
    with pytest.raises(RecipeError, match="what training ended with"):
        artifact.load(replace(Side.of(folder, Which.BASE), strength=0.5), settings=settings)


def test_without_a_solved_head_the_trained_one_stays(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                     tmp_path: Path) -> None:
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="full", head_init="random")
    dials = strength_dials(folder, settings)
    assert not dials.head_follows
    dials.turn(Turn())
    head = dials.network.head.weight.clone()
    dials.turn(Turn(strength=0.0))
    assert torch.equal(dials.network.head.weight, head)


def test_a_saved_setting_is_a_side(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                   tmp_path: Path) -> None:
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="lora")
    strength_files.save_point(folder, "careful", Turn(strength=0.5, blocks=("block 3",), head=HeadRule.FIXED))
    side = replace(Side.of(folder), point="careful")
    dials = strength_dials(folder, settings)
    dials.turn(Turn(strength=0.5, blocks=("block 3",), head=HeadRule.FIXED))
    model = replace(artifact.load(Side.of(folder), settings=settings), network=dials.network)
    assert same(said(side, settings), model.outputs(TEXTS))
    with pytest.raises(NotFoundError, match="no saved strength called loud"):
        said(replace(side, point="loud"), settings)
    with pytest.raises(RecipeError, match="cannot be called"):
        strength_files.save_point(folder, "../x", Turn(strength=0.5))


def test_what_was_measured_of_a_model_goes_with_it(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                   tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    strength_files.save_point(folder, "careful", Turn(strength=0.5))
    trained(tiny_dataset, tiny_model, settings, folder, method="lora")
    assert not strength_files.points(folder)




def test_a_planted_intruder_is_taken_away_and_nothing_else(settings: Settings, tiny_model: Path, tiny_dataset: Dataset,
                                                           tmp_path: Path) -> None:
    """A base weight with nine strong directions, an update that strengthens the first of them and adds a strong one
    which is an even mixture of many weak ones: only that is an intruder, and the dial takes that share of it away."""
    folder = trained(tiny_dataset, tiny_model, settings, tmp_path / "run", method="lora")
    dials = strength_dials(folder, settings)
    name, layer = next((name, layer) for name, layer in dials.layers.items()
                       if layer.get_base_layer().weight.shape[0] == layer.get_base_layer().weight.shape[1] >= 32)
    size, strong, mixed_from = layer.get_base_layer().weight.shape[0], 9, 16
    random = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(size, size, generator=random))[0] for _ in range(2))
    values = torch.cat([torch.linspace(9, 5, strong), torch.linspace(2e-4, 1e-4, size - strong)])
    layer.get_base_layer().weight.data.copy_(left @ torch.diag(values) @ right.T)
    mixture = slice(strong, strong + mixed_from)
    good = torch.outer(left[:, 0], right[:, 0])
    planted = 12 * torch.outer(left[:, mixture].sum(1), right[:, mixture].sum(1)) / mixed_from
    a, b = torch.zeros(4, size), torch.zeros(size, 4)
    b[:, 0], a[0] = left[:, 0], right[:, 0]
    b[:, 1], a[1] = 12 * left[:, mixture].sum(1) / mixed_from, right[:, mixture].sum(1)
    for other, halves in dials._originals.items():
        halves["B"].zero_()
        if other == name:
            halves["A"].copy_(a)
            halves["B"].copy_(b / layer.scaling["default"])
    for share in (0.0, 0.25, 1.0):
        dials.turn(Turn(intruders=share))
        torch.testing.assert_close(layer.get_delta_weight("default").detach(), good + (1 - share) * planted,
                                   atol=2e-3, rtol=0)
        assert all(not other.get_delta_weight("default").any() for other in dials.layers.values() if other is not layer)


def test_shares_of_intruders_that_an_earlier_version_kept_mean_the_same_weights(tmp_path: Path) -> None:
    """There, a share was the one that stayed: saved settings are read so, and its curves are measured again."""
    (tmp_path / strength_files.POINTS).write_text(json.dumps(
        {"points": {"less": codec.to_json(Turn(intruders=0.25)), "half": codec.to_json(Turn(strength=0.5))},
         "schema_version": 1}))
    assert strength_files.points(tmp_path) == {"less": Turn(intruders=0.75), "half": Turn(strength=0.5)}
    strength_files.save_point(tmp_path, "more", Turn(intruders=0.5))
    assert strength_files.points(tmp_path)["less"] == Turn(intruders=0.75)
    curves = [strength_files.Curve(dial=dial, blocks=(), head=HeadRule.FOLLOWS, points=()) for dial in Dial]
    found = strength_files.Curves(curves=tuple(curves), samples={}, head_follows=True, base_in_four_bits=False,
                                  schema_version=1)
    strength_files.save(tmp_path, found)
    kept = strength_files.read(tmp_path)
    assert kept is not None and [curve.dial for curve in kept.curves] == [Dial.STRENGTH, Dial.RANK]
