"""Files of known content for the import benchmark: labelled prose as tables, and labelled pictures."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CLASSES = ("north", "south", "east", "west")
WORDS_A_ROW = 60


def rows(count: int, *, words: int = WORDS_A_ROW, seed: int = 0) -> Iterator[tuple[str, str]]:
    """(text, label): sentences of made-up words whose frequencies fall as in natural language (Zipf); commas and quotes
    occur."""
    random = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfw"))
    vocabulary = np.array(["".join(random.choice(letters, random.integers(2, 10))) for _ in range(5_000)])
    weights = 1 / np.arange(1, 5_001)
    for start in range(0, count, 1_000):
        picked = random.choice(vocabulary, (min(1_000, count - start), words), p=weights / weights.sum())
        for number, row in enumerate(picked, start=start):
            text = f'{" ".join(row[: words // 2])}, "{row[words // 2]}" {" ".join(row[words // 2 + 1:])} {number}'
            yield text, CLASSES[number % len(CLASSES)]


def table(path: Path, *, count: int, words: int = WORDS_A_ROW) -> Path:
    """A CSV file with the columns text and label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows(count, words=words))
    return path


def tables(folder: Path, *, rows: int) -> dict[str, Path]:
    """The same rows as CSV, JSON Lines and Parquet: ending -> path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = {suffix: folder / f"rows.{suffix}" for suffix in ("csv", "jsonl", "parquet")}
    table(made["csv"], count=rows)
    content = [{"text": text, "label": label} for text, label in _rows(rows)]
    made["jsonl"].write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(content), made["parquet"])
    return made


_rows = rows


def picture(number: int, *, side: int = 320) -> tuple[bytes, str]:
    """(file, ending): a smooth coloured picture, three of four as JPEG (like photos), one as PNG (like drawings)."""
    from PIL import Image

    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    drawn = coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    if number % 4 == 3:
        drawn.save(out, "PNG", compress_level=1)
        return out.getvalue(), "png"
    drawn.save(out, "JPEG", quality=88)
    return out.getvalue(), "jpg"


def pictures(folder: Path, *, count: int) -> Path:
    """A folder with one folder a class."""
    for number in range(count):
        data, suffix = picture(number)
        path = folder / CLASSES[number % len(CLASSES)] / f"{number:06}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def picture_archive(path: Path, *, count: int, side: int) -> Path:
    """The same kind of set as a ZIP."""
    with zipfile.ZipFile(path, "w") as bundle:
        for number in range(count):
            data, suffix = picture(number, side=side)
            bundle.writestr(f"{CLASSES[number % len(CLASSES)]}/{number:06}.{suffix}", data)
    return path
