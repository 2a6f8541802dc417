"""The bundled picture sets as tables: OpenMoji drawn once from its SVG files and Noto Emoji from its font, MNIST and
scikit-learn's digits from numbers.

The packages that carry them are read as archives; none of their code is imported.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.emoji_groups import group
from core.data.pictures.source import PictureSource
from core.data.readers.table import RowBuilder, Table
from core.domain.dataset import BundledDataset
from core.errors import DataError

EMOJI_SIDE = 128
"""Pixels of an OpenMoji or Noto Emoji picture."""
GLYPH_PIXELS = 96
"""Size at which Noto Emoji is drawn: its em; the widest drawing is then 121 pixels wide, about as OpenMoji's."""
JOINER = 0x200D
"""Joins the parts of a sequence; nothing to see by itself."""


def openmoji(entry: BundledDataset, archive: Path) -> Table:
    """Every emoji of Unicode 15.1 (without variants in skin tone) on white; class = its Unicode group."""
    bundle = zipfile.ZipFile(archive)
    prefix = entry.members[0].rpartition("/")[0] + "/"
    members = {name.rpartition("/")[2]: name for name in bundle.namelist() if name.startswith(prefix)
               and name.endswith(".svg")}
    labels = {name: found for name in sorted(members) if (found := group(name.removesuffix(".svg")))}

    def draw(name: str) -> bytes:
        import resvg_py

        with bundle.open(members[name]) as file:
            svg = file.read().decode("utf-8")
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=EMOJI_SIDE, height=EMOJI_SIDE, background="#ffffff",
                                           skip_system_fonts=True))

    return _table(entry, list(labels), list(labels.values()), draw, keep=bundle)


def noto_emoji(entry: BundledDataset, archive: Path) -> Table:
    """Every emoji of one code point in the font, black on white; class = its Unicode group.

    Emoji that are sequences (the flags of countries, families, professions) are not among them: without a shaping
    library, which not every machine has, a font draws their parts side by side.
    """
    from PIL import Image, ImageDraw, ImageFont

    with zipfile.ZipFile(archive) as bundle:
        data = bundle.read(entry.members[0])
    points = {f"{point:04X}": point for point in code_points(data) if point != JOINER}
    labels = {f"{code}.png": found for code in points if (found := group(code))}
    font = ImageFont.truetype(io.BytesIO(data), GLYPH_PIXELS, layout_engine=ImageFont.Layout.BASIC)

    def draw(name: str) -> bytes:
        picture = Image.new("L", (EMOJI_SIDE, EMOJI_SIDE), 255)
        text = chr(points[name.removesuffix(".png")])
        left, top, right, bottom = font.getbbox(text)
        place = (EMOJI_SIDE - right - left) // 2, (EMOJI_SIDE - bottom - top) // 2
        ImageDraw.Draw(picture).text(place, text, font=font, fill=0)
        out = io.BytesIO()
        picture.save(out, "PNG")
        return out.getvalue()

    return _table(entry, list(labels), list(labels.values()), draw)


def code_points(font: bytes) -> list[int]:
    """The code points that a TrueType font draws, in order, from its table `cmap` (OpenType 1.9: format 12).

    Raises DataError for a font without one of that format.
    """
    for at in range(12, 12 + 16 * int.from_bytes(font[4:6], "big"), 16):
        if font[at:at + 4] == b"cmap":
            cmap = int.from_bytes(font[at + 8:at + 12], "big")
            for record in range(cmap + 4, cmap + 4 + 8 * int.from_bytes(font[cmap + 2:cmap + 4], "big"), 8):
                table = cmap + int.from_bytes(font[record + 4:record + 8], "big")
                if font[table:table + 2] == b"\0\x0c":
                    groups = np.frombuffer(font, ">u4", 3 * int.from_bytes(font[table + 12:table + 16], "big"),
                                           table + 16).reshape(-1, 3)
                    return [point for first, last, _ in groups.tolist() for point in range(first, last + 1)]
    raise DataError("This font does not say which characters it has.", why="It has no cmap of format 12.",
                    remedy="This is a fault in Thaw's catalogue; please report it.")


def mnist(entry: BundledDataset, archive: Path) -> Table:
    """5,000 handwritten digits of 28 x 28 pixels, white on black; the last column of the file is the label."""
    with zipfile.ZipFile(archive) as bundle, bundle.open(entry.members[0]) as file:
        rows = _numbers(file.read())
    return _digits(entry, rows[:, :-1].reshape(-1, 28, 28).astype(np.uint8), rows[:, -1])


def sklearn_digits(entry: BundledDataset, archive: Path) -> Table:
    """1,797 handwritten digits of 8 x 8 pixels, from other writers and another scanner than MNIST; 0 to 16 becomes
    black to white."""
    rows = _numbers(archive.read_bytes())
    return _digits(entry, np.round(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), rows[:, -1])


def sklearn_file() -> Path:
    """The digits inside the installed scikit-learn."""
    from importlib.util import find_spec

    spec = find_spec("sklearn")
    path = Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if spec else Path()
    if not path.is_file():
        raise DataError("scikit-learn's digits are not there.", why=f"There is no file {path}.",
                        remedy="Install the requirements again.")
    return path


LAYOUTS: Mapping[str, Callable[[BundledDataset, Path], Table]] = {
    "openmoji": openmoji,
    "noto emoji": noto_emoji,
    "mnist": mnist,
    "scikit-learn digits": sklearn_digits,
}
"""Layout of a catalogue entry -> its reader."""

INSTALLED: Mapping[str, Callable[[], Path]] = {"scikit-learn digits": sklearn_file}
"""Layouts whose data came with Thaw's own requirements: nothing is fetched."""


def _numbers(packed: bytes) -> Any:
    """A gzipped CSV of whole numbers without header: int64 (n_rows, n_columns)."""
    import pyarrow as pa
    from pyarrow import csv

    stream = pa.CompressedInputStream(pa.BufferReader(packed), "gzip")
    table = csv.read_csv(stream, read_options=csv.ReadOptions(autogenerate_column_names=True, block_size=64_000_000))
    return np.stack([column.to_numpy() for column in table.columns], axis=1).astype(np.int64)


def _digits(entry: BundledDataset, pictures: Any, labels: Any) -> Table:
    from PIL import Image

    names = [f"{label}/{index:04}.png" for index, label in enumerate(labels.tolist())]
    by_name = dict(zip(names, pictures, strict=True))

    def draw(name: str) -> bytes:
        out = io.BytesIO()
        Image.fromarray(by_name[name]).save(out, "PNG")
        return out.getvalue()

    return _table(entry, names, [str(label) for label in labels.tolist()], draw)


def _table(entry: BundledDataset, names: Sequence[str], labels: Sequence[str], draw: Callable[[str], bytes],
           *, keep: Any = None) -> Table:
    builder = RowBuilder(["image", "label"], max_rows=len(names), name=entry.name)
    for name, label in zip(names, labels, strict=True):
        builder.add([name, label])
    return dataclasses.replace(builder.table(format="Pictures"), pictures=PictureSource(names, draw, keep=keep),
                               image_column="image")
