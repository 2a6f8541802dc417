"""Bundled picture sets: emoji groups against known emoji, and digits from numbers."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.data import bundled, bundled_pictures, catalogue, library
from core.data.emoji_groups import group
from core.data.fetch import fetch_package
from core.errors import DataError
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


def font_with(*spans: tuple[int, int], format: int = 12) -> bytes:
    """A file with nothing but the tables that say where the characters are: `head` (empty) and `cmap`."""
    groups = b"".join(struct.pack(">III", first, last, 1) for first, last in spans)
    table = struct.pack(">HHIII", format, 0, 16 + len(groups), 0, len(spans)) + groups
    cmap = struct.pack(">HHHHI", 0, 1, 3, 10, 12) + table
    start = 12 + 2 * 16
    return (struct.pack(">IHHHH", 0x00010000, 2, 0, 0, 0) + struct.pack(">4sIII", b"head", 0, start, 0)
            + struct.pack(">4sIII", b"cmap", 0, start, len(cmap)) + cmap)


def test_the_characters_of_a_font_are_read_from_its_table() -> None:
    assert bundled_pictures.code_points(font_with((0x41, 0x43), (0x1F600, 0x1F601))) == [
        0x41, 0x42, 0x43, 0x1F600, 0x1F601]
    with pytest.raises(DataError, match="which characters"):
        bundled_pictures.code_points(font_with((0x41, 0x43), format=4))


@pytest.mark.slow
def test_noto_emoji_is_drawn_in_black_and_the_same_each_time(settings: Settings) -> None:
    entry = catalogue.find("noto-emoji")
    wheel = fetch_package(entry.package, dest=settings.assets / "packages", expected_bytes=entry.size_bytes)
    font = zipfile.ZipFile(wheel).read(entry.members[0])
    assert (hashlib.sha256(font).hexdigest()
            == "de6c18832938afc99caf132b39d6a30a19bac7f2e812e28db2535b4608d27551")
    points = bundled_pictures.code_points(font)  # the same as fontTools reads
    assert (len(points), points[0], points == sorted(points)) == (1489, 0, True)
    first, second = (bundled_pictures.noto_emoji(entry, wheel) for _ in range(2))
    assert len(first) == entry.rows
    assert first.pictures is not None and second.pictures is not None
    for name in first.pictures.names[::50]:
        drawn = np.asarray(Image.open(io.BytesIO(first.pictures.read(name))))
        assert first.pictures.read(name) == second.pictures.read(name)
        assert drawn.shape == (128, 128) and 0.01 < (drawn < 128).mean() < 0.7
        edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
        assert (edge == 255).all(), "nothing is cut off"
