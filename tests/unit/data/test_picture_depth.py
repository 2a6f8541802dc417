"""Pictures of more than 8 bits: stretched by the depth in use, one factor for all of a dataset, kept with it."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import attach, ingest, library, roles, tables
from core.data.check import Options
from core.data.pictures.decode import open_rgb
from core.data.report import ImportReport
from core.domain.dataset import Dataset, Depth
from core.settings import Settings

Archive = Callable[..., Path]


def grey(values: np.ndarray, format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, format)
    return out.getvalue()


def colour_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, (height, width, 2 to 4), which Pillow reads but does not write."""
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def ramp(top: int, *, kind: str = "uint16", seed: int = 0) -> np.ndarray:
    """64 x 64 values from 0 to top, in an order of their own."""
    return np.random.default_rng(seed).permutation(np.linspace(0, top, 64 * 64)).reshape(64, 64).astype(kind)


def keep(path: Path, settings: Settings, options: Options | None = None) -> tuple[Dataset, ImportReport,
                                                                                  dict[str, np.ndarray]]:
    """The dataset, its report, and the pixels of every row by the name of its file."""
    table = tables.read(path, settings=settings)
    made, report = ingest.ingest(table, roles={n: p.role for n, p in roles.choose(table).items()}, name=path.stem,
                                 settings=settings, workspace="w", options=options)
    home = library.folder(made, settings=settings, workspace="w")
    rows = library.read_rows(made, settings=settings, workspace="w").to_pylist()
    return made, report, {row["file"]: np.asarray(open_rgb(home / row["image"]))[..., 0].astype(int) for row in rows}


def two_classes(make: Callable[[int], bytes], suffix: str = "png") -> dict[str, bytes]:
    return {f"{name}/{i}.{suffix}": make(i + 100 * k) for k, name in enumerate(("left", "right")) for i in range(6)}


@pytest.mark.parametrize(("bits", "format", "kind"), [
    (9, "PNG", "uint16"), (10, "PNG", "uint16"), (12, "PNG", "uint16"), (14, "PNG", "uint16"), (16, "PNG", "uint16"),
    (12, "TIFF", "uint16"), (12, "TIFF", "int32"), (20, "TIFF", "int32")])
def test_the_depth_in_use_fills_the_scale(bits: int, format: str, kind: str, settings: Settings,
                                          archive: Archive) -> None:
    top = 2**bits - 1
    files = two_classes(lambda seed: grey(ramp(top - 7 - seed % 5, kind=kind, seed=seed), format), format.lower())
    made, report, pixels = keep(archive(files), settings)
    assert report.rows_kept == 12
    assert made.reading is not None and made.reading.depth == Depth(whole=(0.0, float(top)))
    assert library.load(made.id, settings=settings, workspace="w").reading == made.reading
    for name, found in pixels.items():
        values = np.asarray(Image.open(io.BytesIO(files[name]))).astype(float)
        assert np.abs(found - values * 255 / top).max() <= 0.5, name
        assert len(np.unique(found)) >= 250
    said = next(finding.message for finding in report.findings if finding.code == "picture-depth")
    assert f"0 to {top:,} ({bits} bits)" in said


def test_a_dark_picture_stays_darker_than_a_bright_one(settings: Settings, archive: Archive) -> None:
    files = two_classes(lambda seed: grey(ramp(250 if seed % 2 else 4000, seed=seed)))
    _, _, pixels = keep(archive(files), settings)
    dark, bright = ([found.max() for name, found in pixels.items() if int(name[-5]) % 2 == odd] for odd in (1, 0))
    assert max(dark) == round(250 * 255 / 4095) and min(bright) == round(4000 * 255 / 4095)


@pytest.mark.parametrize(("low", "high", "depth"),
                         [(0.0, 1.0, (0.0, 1.0)), (0.1, 0.5, (0.0, 1.0)), (0.0, 255.0, (0.0, 255.0)),
                          (-1000.0, 3000.0, (-1000.0, 3000.0)), (0.0, 4000.0, (0.0, 4000.0))])
def test_floating_point_pictures_share_a_scale(low: float, high: float, depth: tuple[float, float], settings: Settings,
                                               archive: Archive) -> None:
    files = two_classes(lambda seed: grey((low + ramp(1, kind="float32", seed=seed) * (high - low)).astype("float32"),
                                          "TIFF"), "tif")
    made, _, pixels = keep(archive(files), settings)
    assert made.reading is not None and made.reading.depth.real == pytest.approx(depth, abs=1e-3)
    for name, found in pixels.items():
        values = np.asarray(Image.open(io.BytesIO(files[name]))).astype(float)
        assert np.abs(found - (values - depth[0]) * 255 / (depth[1] - depth[0])).max() <= 0.51, name


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_twelve_bits_keep_their_levels(channels: int, settings: Settings, archive: Archive) -> None:
    def make(seed: int) -> bytes:
        values = np.stack([ramp(4095, seed=10 * seed + c) for c in range(channels)], axis=-1)
        if channels in (2, 4):
            values[..., -1] = 65535                                  # opaque
        return colour_png(values)

    files = two_classes(make)
    made, _, pixels = keep(archive(files), settings)
    assert made.reading is not None and made.reading.depth.whole == (0.0, 4095.0)
    assert all(len(np.unique(found)) == 256 for found in pixels.values())


def test_eight_bit_pictures_beside_deep_ones_stay_as_they_are(settings: Settings, archive: Archive) -> None:
    def make(seed: int) -> bytes:
        return grey(ramp(255, kind="uint8", seed=seed)) if seed % 2 else grey(ramp(4095, seed=seed))

    files = two_classes(make)
    _, _, pixels = keep(archive(files), settings)
    for name in ("left/1.png", "right/3.png"):
        assert np.array_equal(pixels[name], np.asarray(Image.open(io.BytesIO(files[name]))))


def test_a_shift_set_is_read_like_its_dataset(settings: Settings, archive: Archive) -> None:
    dark = two_classes(lambda seed: grey(ramp(250, seed=seed)))
    path = archive(dark, name="dark.zip")
    _, report, pixels = keep(path, settings, Options(depth=Depth(whole=(0.0, 4095.0))))
    assert max(found.max() for found in pixels.values()) == round(250 * 255 / 4095)
    assert not any("cut off" in finding.message for finding in report.findings)
    _, report, pixels = keep(path, settings, Options(depth=Depth(whole=(0.0, 127.0))))
    assert {found.max() for found in pixels.values()} == {255}
    assert "12 pictures have values outside" in next(f.message for f in report.findings if f.code == "picture-depth")


def test_a_dataset_of_an_earlier_version_opens(settings: Settings, archive: Archive) -> None:
    import json

    made, _, _ = keep(archive(two_classes(lambda seed: grey(ramp(4095, seed=seed)))), settings)
    path = library.folder(made, settings=settings, workspace="w") / "dataset.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    del old["reading"]
    path.write_text(json.dumps(old), encoding="utf-8")
    assert library.load(made.id, settings=settings, workspace="w") == dataclasses.replace(made, reading=None)


def test_attaching_a_set_of_another_depth_is_said(settings: Settings, archive: Archive) -> None:
    made = [keep(archive(two_classes(lambda seed, top=top: grey(ramp(top, seed=seed + top))), name=f"{top}.zip"),
                 settings)[0]
            for top in (4000, 1000, 3000)]
    said = [{finding.code
             for finding in library.read_report(attach.attach(made[0], other, settings=settings, workspace="w").dataset,
                                                settings=settings, workspace="w").findings} for other in made[1:]]
    assert ["shift-depth" in codes for codes in said] == [True, False]
