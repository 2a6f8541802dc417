"""The bundled picture model through Thaw's own fetching and loading: it must know a daisy from a palace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import FetchError
from core.models import blocks, catalogue, fetch, load
from core.models.convert import CONVERTERS
from core.models.inspect import inspect_model
from core.models.processors import PictureProcessor
from core.settings import Settings


def test_every_converter_that_the_catalogue_names_is_there() -> None:
    assert {model.converter for model in catalogue.MODELS if model.converter} == set(CONVERTERS)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(FetchError, match="does not hold the weights"):
        CONVERTERS["efficientnet-lite0"](tmp_path / "other.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_code_inside_a_weight_file_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    torch.save({"weight": Touch()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        CONVERTERS["efficientnet-lite0"](tmp_path / "evil.pth", tmp_path / "out")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_efficientnet_lite0_sees_a_daisy_and_a_palace(settings: Settings) -> None:
    from PIL import Image
    from sklearn.datasets import load_sample_image
    from transformers import AutoModelForImageClassification

    folder = fetch.ensure_model("efficientnet-lite0", settings=settings, progress=lambda done, total: None)
    processor = PictureProcessor(folder)
    whole = AutoModelForImageClassification.from_pretrained(folder).eval()
    body = load.load_body(folder)
    for name, expected in (("flower.jpg", "daisy"), ("china.jpg", "palace")):
        pixels = processor.normalise(processor.resize(Image.fromarray(load_sample_image(name)))[None])
        with torch.no_grad():
            logits = whole(pixel_values=pixels).logits
            pooled = body(pixel_values=pixels).last_hidden_state.mean((2, 3))
        assert whole.config.id2label[int(logits.argmax())].split(",")[0] == expected
        own = pooled @ whole.timm_model.classifier.weight.T + whole.timm_model.classifier.bias
        np.testing.assert_allclose(own.detach().numpy(), logits.numpy(), atol=1e-4)

    facts = inspect_model("efficientnet-lite0", settings=settings)
    entry = catalogue.find("efficientnet-lite0")
    assert entry is not None and entry.depth == 7 == len(facts.blocks) - 1
    assert (facts.image_size, facts.hidden_size, facts.pooling, facts.has_batch_norm) == (224, 1280, "mean", True)
    assert facts.forward_flops_per_token == pytest.approx(2 * 385e6, rel=0.05)
    owner = blocks.block_of([name for name, _ in body.named_parameters()], blocks.find_stack(body))
    assert owner["timm_model.conv_stem.weight"] == "embeddings" and owner["timm_model.conv_head.weight"] == "block 6"
    assert not list(folder.glob("**/*.pth"))
