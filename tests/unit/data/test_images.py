"""Single pictures: every format and mode comes out upright in RGB; what cannot be kept says why."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.data import images

LIMIT = 50_000_000
Draw = Callable[..., bytes]


def opened(picture: images.Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.data))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize(("format", "mode"),
                         [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "1"),
                          ("PNG", "L"), ("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGB"), ("BMP", "RGB"), ("GIF", "P")])
def test_every_format_becomes_rgb_with_the_same_pixels(picture: Draw, format: str, mode: str) -> None:
    data = picture(1, format=format, mode=mode)
    kept = images.normalise(data, max_pixels=LIMIT)
    assert opened(kept).mode == "RGB"
    assert (kept.width, kept.height) == opened(kept).size == (40, 30)
    assert np.array_equal(pixels(kept.data), pixels(data))           # up to 128 pixels nothing is lost


def test_exif_orientation_is_applied(picture: Draw) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6                                                 # the top of the picture is on its right side
    data = picture(2, size=(60, 40), exif=exif)
    kept = images.normalise(data, max_pixels=LIMIT)
    assert (kept.width, kept.height) == opened(kept).size == (40, 60)
    assert np.array_equal(pixels(kept.data), np.rot90(pixels(data), k=-1))
    assert kept.changes == ("turned upright",)
    assert not opened(kept).getexif()


def test_sixteen_bits_are_scaled_and_eight_bit_values_kept() -> None:
    for top, shown in ((65535, 255), (200, 200)):
        values = np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)
        out = io.BytesIO()
        Image.fromarray(values).save(out, "PNG")
        kept = images.normalise(out.getvalue(), max_pixels=LIMIT)
        assert pixels(kept.data).max() == shown
        assert ("brought from 16 to 8 bits" in kept.changes) is (top > 255)


def test_transparency_is_put_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(out, "PNG")
    kept = images.normalise(out.getvalue(), max_pixels=LIMIT)
    assert pixels(kept.data).min() == 255
    assert kept.changes == ("transparency put on white",)


def test_only_the_first_frame_of_a_gif() -> None:
    frames = [Image.new("RGB", (12, 12), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert tuple(pixels(images.normalise(out.getvalue(), max_pixels=LIMIT).data)[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(("format", "suffix"), [("JPEG", ".jpg"), ("PNG", ".jpg")])
def test_large_pictures_become_smaller(picture: Draw, format: str, suffix: str) -> None:
    kept = images.normalise(picture(3, size=(1600, 900), format=format), max_pixels=LIMIT)
    assert opened(kept).size == (512, 288)
    assert (kept.width, kept.height, kept.suffix, kept.changes) == (1600, 900, suffix, ("made smaller",))


def test_a_photo_of_bounded_size_keeps_its_quality(picture: Draw) -> None:
    data = picture(4, size=(300, 200), format="JPEG", quality=60)
    kept = images.normalise(data, max_pixels=LIMIT)
    assert np.abs(pixels(kept.data).astype(int) - pixels(data)).mean() < 1
    assert len(kept.data) < 1.2 * len(data)


def huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
            + chunk(b"IEND", b""))


@pytest.mark.parametrize(("data", "says"), [
    (b"", "empty"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "no JPEG"),
    (b"GIF89a<script>alert(1)</script>", "damaged|cut off|no JPEG"),
    (huge_png(50_000, 50_000), "2,500,000,000 pixels"),
    (huge_png(9_000, 9_000), "9,000 × 9,000 pixels"),
])
def test_what_cannot_be_kept_says_why(data: bytes, says: str) -> None:
    with pytest.raises(images.Unusable, match=says):
        images.normalise(data, max_pixels=LIMIT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_truncated_pictures_are_named(picture: Draw, format: str) -> None:
    data = picture(5, size=(200, 200), format=format)
    with pytest.raises(images.Unusable, match=r"cut off|damaged|no JPEG"):
        images.normalise(data[: len(data) // 2], max_pixels=LIMIT)


def test_nothing_hidden_behind_a_picture_is_kept(picture: Draw) -> None:
    payload = b"PK\x03\x04<script>alert(1)</script>"
    for format, size in (("PNG", (40, 30)), ("JPEG", (40, 30)), ("JPEG", (300, 200)), ("GIF", (40, 30))):
        kept = images.normalise(picture(6, size=size, format=format) + payload, max_pixels=LIMIT)
        assert b"<script>" not in kept.data


def test_equal_pixels_have_equal_digests_whatever_the_format(picture: Draw) -> None:
    digests = {images.normalise(picture(7, format=format), max_pixels=LIMIT).digest for format in ("PNG", "BMP")}
    assert len(digests) == 1
    assert images.normalise(picture(8), max_pixels=LIMIT).digest not in digests


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), seed=st.integers(0, 3), at=st.integers(0, 2_000),
       format=st.sampled_from(images.FORMATS))
def test_any_bytes_are_a_picture_or_a_reason(picture: Draw, data: bytes, seed: int, at: int, format: str) -> None:
    base = picture(seed, format=format)
    at %= len(base)
    reason, kept = "", None
    try:
        kept = images.normalise(base[:at] + data + base[at + len(data):], max_pixels=LIMIT)
    except images.Unusable as error:
        reason = str(error)
    assert bool(reason) is (kept is None)
    if kept is not None:
        assert opened(kept).mode == "RGB" and max(opened(kept).size) <= images.LONG_SIDE


def test_previews_are_small_pngs_or_nothing(picture: Draw) -> None:
    shown = images.preview(picture(9, size=(400, 300), format="JPEG"), max_pixels=LIMIT)
    assert shown is not None and Image.open(io.BytesIO(shown)).size == (96, 72)
    assert images.preview(b"nothing", max_pixels=LIMIT) is None
