"""Picture models of every family: blocks, pooling, processor and facts agree with what transformers itself does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.domain.dataset import Task
from core.models import blocks, load, methods
from core.models.inspect import inspect_model
from core.models.processors import PictureProcessor
from core.settings import Settings
from tests import tiny

DEPTH = {"vit": 3, "resnet": 4, "convnext": 4, "dinov2": 3, "swin": 3, "efficientnet": 5, "timm_resnet": 4}
POOLING = {"vit": "cls", "resnet": "mean", "convnext": "model", "dinov2": "cls", "swin": "mean", "efficientnet": "mean",
           "timm_resnet": "mean"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp("models") / name) for name, make in tiny.PICTURE_FAMILIES.items()}


@pytest.mark.parametrize("family", sorted(tiny.PICTURE_FAMILIES))
def test_facts_account_for_the_whole_model(family: str, folders: dict[str, Path], settings: Settings) -> None:
    facts = inspect_model(str(folders[family]), settings=settings)
    body = load.load_body(folders[family])
    assert facts.tasks == (Task.IMAGE_CLASSIFICATION,)
    assert [block.name for block in facts.blocks] == ["embeddings", *(f"block {i}" for i in range(DEPTH[family]))]
    assert facts.parameters == sum(p.numel() for p in body.parameters())
    assert (facts.pooling, facts.max_length) == (POOLING[family], 0)
    assert facts.image_size == PictureProcessor(folders[family]).size[0]
    assert facts.has_batch_norm == (family in ("resnet", "efficientnet", "timm_resnet"))
    assert sum(facts.flops_per_block.values()) == pytest.approx(facts.forward_flops_per_token)
    assert all(facts.flops_per_block[block.name] >= 0 and facts.activation_bytes_per_block[block.name]
               > 0 for block in facts.blocks)


@pytest.mark.parametrize("family", sorted(tiny.PICTURE_FAMILIES))
def test_blocks_run_in_the_order_of_their_numbers(family: str, folders: dict[str, Path]) -> None:
    body = load.load_body(folders[family])
    stack = blocks.find_stack(body)
    seen: list[int] = []
    for index, module in enumerate(blocks.members(body, stack)):
        module.register_forward_hook(lambda *_, index=index: seen.append(index))
    side = PictureProcessor(folders[family]).size[0]
    body(pixel_values=torch.zeros(1, 3, side, side))
    assert seen == list(range(DEPTH[family]))


def test_the_stem_is_embeddings_and_the_last_convolution_belongs_to_the_last_block(folders: dict[str, Path]) -> None:
    body = load.load_body(folders["efficientnet"])
    names = [name for name, _ in body.named_parameters()]
    owner = blocks.block_of(names, blocks.find_stack(body))
    inside = {name.removeprefix("timm_model."): block for name, block in owner.items()}
    assert {inside[name] for name in inside if name.startswith(("conv_stem", "bn1"))} == {"embeddings"}
    assert {inside[name] for name in inside if name.startswith(("conv_head", "bn2", "blocks.4"))} == {"block 4"}
    assert inside["blocks.3.0.conv_pw.weight"] == "block 3"


@pytest.mark.parametrize("family", sorted(tiny.PICTURE_FAMILIES))
def test_the_processor_prepares_a_picture_as_transformers_does(family: str, folders: dict[str, Path],
                                                               tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    mine = PictureProcessor(folders[family])
    found = mine.normalise(mine.resize(picture)[None])
    theirs = AutoImageProcessor.from_pretrained(folders[family])(images=picture, return_tensors="pt")["pixel_values"]
    assert found.shape == theirs.shape
    assert (found - theirs).abs().max() <= 1.01 * float(np.abs(mine.scale).max())  # at most one step of a byte

    mine.save(tmp_path / "saved")
    again = PictureProcessor(tmp_path / "saved")
    assert again.fingerprint() == mine.fingerprint()
    np.testing.assert_array_equal(again.resize(picture), mine.resize(picture))


@pytest.mark.parametrize("family", ["vit", "resnet", "convnext", "efficientnet"])
def test_a_fresh_body_is_not_the_published_one_and_stays_alive(family: str, folders: dict[str, Path]) -> None:
    torch.manual_seed(1)
    fresh, published = load.load_body(folders[family], weights="fresh"), load.load_body(folders[family])
    own = dict(published.named_parameters())
    assert not any(torch.equal(p, own[name]) for name, p in fresh.named_parameters() if p.ndim > 1 and p.std() > 0)
    side = PictureProcessor(folders[family]).size[0]
    output = fresh.train()(pixel_values=torch.randn(8, 3, side, side)).last_hidden_state
    assert torch.isfinite(output).all() and output.std() > 1e-4


def test_a_timm_model_from_scratch_starts_as_timm_starts_it(folders: dict[str, Path]) -> None:
    torch.manual_seed(0)
    body = load.load_body(folders["efficientnet"], weights="fresh").timm_model
    weight = body.blocks[3][0].conv_pw.weight
    fan_out = weight.shape[0]
    # He initialisation by fan-out, not N(0, 0.02)
    assert (weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.25))


def test_methods_say_which_models_they_suit(folders: dict[str, Path], settings: Settings) -> None:
    facts = {name: inspect_model(str(folders[name]), settings=settings) for name in ("vit", "resnet", "efficientnet")}
    for name in ("resnet", "efficientnet"):
        assert "no linear layers worth quantising" in str(methods.get("qlora").applies_to(facts[name]))
        assert methods.get("lora").applies_to(facts[name]) is None
        assert all(not layer.quantisable for block in facts[name].blocks for layer in block.linear_layers)
        assert all(block.linear_parameters == 0 for block in facts[name].blocks)
    assert methods.get("qlora").applies_to(facts["vit"]) is None
    for method in ("probe", "partial", "full", "scratch", "lp_ft"):
        assert methods.get(method).applies_to(facts["resnet"]) is None
