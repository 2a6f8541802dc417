"""Small copies of pictures on one sheet."""

import io

import pytest
from PIL import Image

from core.analysis import contact_sheet


@pytest.fixture
def paths(tmp_path):
    out = []
    for number, colour in enumerate(("red", "lime", "blue", "black", "yellow")):
        Image.new("RGB", (200, 100 if number else 200), colour).save(tmp_path / f"{number}.png")
        out.append(str(tmp_path / f"{number}.png"))
    return out


def middle(sheet, place):
    side = contact_sheet.SIDE
    picture = Image.open(io.BytesIO(sheet.data)).convert("RGB")
    return picture.getpixel((place % sheet.columns * side + side // 2, place // sheet.columns * side + side // 2))


def near(a, b):
    return all(abs(x - y) < 30 for x, y in zip(a, b, strict=True))


def test_each_picture_lies_in_its_place(paths, tmp_path):
    sheet = contact_sheet.make(paths, cache=tmp_path / "cache")
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 0)]
    assert all(near(middle(sheet, place), colour) for place, colour in enumerate(wanted))


def test_an_unreadable_picture_leaves_its_place_blank_and_the_next_ones_where_they_are(paths, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    sheet = contact_sheet.make(paths, cache=tmp_path / "cache")
    assert near(middle(sheet, 1), (255, 255, 255)) and near(middle(sheet, 2), (0, 0, 255))


def test_a_sheet_is_made_once(paths, tmp_path):
    first = contact_sheet.make(paths, cache=tmp_path / "cache")
    (tmp_path / "0.png").unlink()
    assert contact_sheet.make(paths, cache=tmp_path / "cache") == first


def test_too_many_pictures_have_no_sheet(tmp_path):
    assert contact_sheet.make(["x.png"] * (contact_sheet.MOST + 1), cache=tmp_path) is None
    assert contact_sheet.make([], cache=tmp_path) is None
