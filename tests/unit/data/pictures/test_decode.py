"""Every kind of picture comes out as plain RGB with known pixel values; what is no picture is refused in three
parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.pictures.decode import open_rgb
from core.errors import DataError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(mode: str = "RGB") -> Image.Image:
    """8 x 4 pixels: the left half red, the right half blue."""
    picture = Image.new("RGB", (8, 4), RED)
    picture.paste(BLUE, (4, 0, 8, 4))
    return picture.convert(mode)


def pixels(path: Path) -> np.ndarray:
    picture = open_rgb(path)
    assert picture.mode == "RGB"
    return np.asarray(picture)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".gif", ".tiff", ".PNG"])
def test_formats_give_their_colours(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    halves().save(path, **({"lossless": True} if suffix == ".webp" else {}))
    found = pixels(path)
    assert found.shape == (4, 8, 3)
    assert tuple(found[0, 0]) == RED and tuple(found[3, 7]) == BLUE


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view
    halves().save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    found = pixels(tmp_path / "a.jpg")
    assert found.shape == (8, 4, 3)
    assert found[0, 0, 0] > 200 and found[7, 0, 2] > 200  # the left half is on top


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    halves("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    found = pixels(tmp_path / "a.jpg").astype(int)
    assert np.abs(found[1, 1] - RED).max() < 12 and np.abs(found[1, 6] - BLUE).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 2, 2))
    path = tmp_path / "a.png"
    if mode == "P":
        palette = Image.new("P", (4, 2), 0)
        palette.putpalette([10, 20, 30, 0, 0, 0])
        palette.paste(1, (0, 0, 2, 2))
        palette.save(path, transparency=0)
    else:
        picture.convert(mode).save(path)
    found = pixels(path)
    assert found[0, 0].tolist() == [0, 0, 0] and found[0, 3].tolist() == [255, 255, 255]


def test_sixteen_bit_grey_keeps_its_upper_eight_bits(tmp_path: Path) -> None:
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png")[..., 0].tolist() == [[0, 100], [200, 255]]


def test_only_the_first_frame_counts(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), RED).save(tmp_path / "a.gif", save_all=True,
                                       append_images=[Image.new("RGB", (4, 4), BLUE)])
    assert tuple(pixels(tmp_path / "a.gif")[0, 0]) == RED


def _png(tmp_path: Path) -> bytes:
    halves().save(tmp_path / "whole.png")
    return (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize(("name", "make"), [
    ("svg.png", lambda folder: b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
    ("eps.png", lambda folder: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
    ("empty.jpg", lambda folder: b""),
    ("cut.png", lambda folder: _png(folder)[:48]),
])
def test_what_is_no_picture_is_refused(name: str, make: object, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(make(tmp_path))  # type: ignore[operator]
    with pytest.raises(DataError, match=name) as caught:
        open_rgb(tmp_path / name)
    assert caught.value.why and caught.value.remedy


def test_a_missing_file_and_one_that_is_too_large_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png is missing"):
        open_rgb(tmp_path / "gone.png")
    halves().save(tmp_path / "a.png")
    with pytest.raises(DataError, match="too large") as caught:
        open_rgb(tmp_path / "a.png", max_pixels=31)
    assert "8 × 4" in caught.value.why
