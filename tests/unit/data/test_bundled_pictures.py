"""Bundled picture sets: emoji groups against known emoji, and digits from numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from core.data import bundled, bundled_pictures, catalogue, library
from core.data.emoji_groups import group
from core.settings import Settings


@pytest.mark.parametrize(("emoji", "name"), [
    ("😀", "Smileys & Emotion"), ("❤️\u200d🔥", "Smileys & Emotion"), ("👁️\u200d🗨️", "Smileys & Emotion"),
    ("👁️", "People & Body"), ("👋", "People & Body"), ("👩\u200d🚀", "People & Body"),
    ("🐕\u200d🦺", "Animals & Nature"),
    ("🍄\u200d🟫", "Food & Drink"), ("🍄", "Animals & Nature"), ("🍕", "Food & Drink"), ("🚗", "Travel & Places"),
    ("⚽", "Activities"), ("📎", "Objects"), ("3️⃣", "Symbols"), ("♻️", "Symbols"), ("🇳🇱", "Flags"),
    ("🏴\u200d☠️", "Flags"), ("🏳️\u200d🌈", "Flags"), ("👋🏽", None), ("🇳", None), ("A", None), ("\ue000", None),
    ("🏳️\u200d🟥", None), ("🏻", None)])
def test_groups_are_those_of_unicode(emoji: str, name: str | None) -> None:
    assert group("-".join(f"{ord(c):04X}" for c in emoji)) == name


def test_the_digits_of_scikit_learn_need_no_download(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    known = load_digits()
    table = bundled_pictures.sklearn_digits(catalogue.find("sklearn-digits"), bundled_pictures.sklearn_file())
    assert table.data.column("label").to_pylist() == [str(label) for label in known.target]
    assert table.pictures is not None
    drawn = np.asarray(Image.open(io.BytesIO(table.pictures.read(table.pictures.names[7]))))
    assert np.array_equal(drawn, np.round(known.images[7] * 255 / 16))
    dataset = bundled.ensure("sklearn-digits", settings=settings, workspace="a")
    assert (dataset.rows_kept, dataset.classes) == (1797, tuple("0123456789"))
    first = library.read_rows(dataset, settings=settings, workspace="a").slice(0, 1).to_pylist()[0]
    with Image.open(library.folder(dataset, settings=settings, workspace="a") / first["image"]) as picture:
        assert (picture.size, picture.mode) == ((8, 8), "RGB")
