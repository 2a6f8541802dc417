"""The preview of augmentation shows what training is fed, picture by picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import browse
from core.data.pictures.augment import LEVELS
from core.data.pictures.preview import variants
from core.domain.dataset import Task
from core.domain.recipe import Recipe
from core.settings import Settings
from tests import tiny
from tests.conftest import WORKSPACE, write_picture_dataset

SIDE = 32
"""Of the tiny ViT, and of the pictures here: its processor then leaves them as they are."""


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory):
    from core.models.processors import PictureProcessor

    return PictureProcessor(tiny.vit(tmp_path_factory.mktemp("base") / "tiny-vit"))


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_the_preview_is_what_a_training_batch_holds(level: str, processor, tmp_path: Path) -> None:
    from core.tasks.pictures import EncodedPictures

    paths = []
    for row in range(4):
        paths.append(str(tmp_path / f"{row}.png"))
        tiny.make_picture(sorted(tiny.SHAPES)[row % 3], seed=row).resize((SIDE, SIDE)).save(paths[-1])
    recipe = Recipe(dataset="d", base_model="m", method="full", task=Task.IMAGE_CLASSIFICATION, augmentation=level)
    encoded = EncodedPictures(paths, processor=processor, store=None, augmentation=recipe.augmentation,
                              seed=recipe.seed)
    for epoch in (0, 1, 2):
        fed = encoded.batch(np.arange(4), epoch=epoch)["pixel_values"].numpy().transpose(0, 2, 3, 1)
        as_bytes = np.rint((fed - processor.offset) / processor.scale).astype(np.uint8)
        for row, path in enumerate(paths):
            shown = variants(path, level=level, row=row, side=SIDE)
            np.testing.assert_array_equal(pixels(shown.epochs[epoch]), as_bytes[row])
            assert not np.array_equal(pixels(shown.epochs[epoch]), pixels(shown.before))


def test_every_class_is_shown_and_only_training_rows(settings: Settings) -> None:
    dataset = write_picture_dataset(settings, n_rows=45)
    found = browse.augmented(dataset, level="light", side=48, settings=settings, workspace=WORKSPACE)
    assert [row.label for row in found[:3]] == sorted(dataset.classes) and len(found) == 4
    assert {pixels(png).shape for row in found for png in (row.before, *row.epochs)} == {(48, 48, 3)}
    small = write_picture_dataset(settings, n_rows=9)
    assert len(browse.augmented(small, level="strong", side=48, settings=settings, workspace=WORKSPACE, n=100)) == 9


def test_the_preview_never_imports_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "a.png"
    tiny.make_picture("disc", seed=1).save(path)
    code = ("import sys; from core.data.pictures.preview import variants; "
            f"variants({str(path)!r}, level='strong', row=0, side=32); sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
